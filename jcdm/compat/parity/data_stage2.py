"""Samples of stage 2: grids cut, mirrored and masked by recorded draws."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from einops import rearrange
from PIL import Image
from torch import Tensor

from jcdm.compat.parity.clip_pictures import CLIP_SIZE, lattice_rows, mean_row
from jcdm.compat.parity.comparison import EXACT, PIXELS, Row, compare
from jcdm.compat.parity.fixtures import FixtureFolder, picture
from jcdm.compat.parity.grids import grid_u8, visibility_mask
from jcdm.compat.parity.loading import GRID
from jcdm.data.transforms import GeometricDraw, clip_pixels, fit_view, image_tensor
from jcdm.grid import to_grid
from jcdm.pipelines.outputs import to_uint8

Tensors = Mapping[str, Tensor]
Draw = Mapping[str, Any]
_CORNERS = [[0, 0, -1, -1], [0, -1, 0, -1]]  # rows and columns of the masked pixels recorded


def compare_stage2_data(fixtures: FixtureFolder, name: str) -> Iterator[Row]:
    """Compare every recorded sample."""
    golden, settings = fixtures.tensors(name), fixtures.settings(name)
    cell = (settings["cell_height"], settings["cell_width"])
    for draw in settings["draws"]:
        prefix = f"draw{draw['draw']}"
        for key, (found, tolerance) in _grids(golden, draw, cell).items():
            expected = golden[f"{prefix}.{key}"]
            yield compare(f"{name}/{prefix}.{key}", found, expected, tolerance)
        yield from _clip_rows(name, prefix, golden, draw)


def _grids(golden: Tensors, draw: Draw, cell: tuple[int, int]) -> dict[str, tuple[Tensor, Any]]:
    """Grids of person, visible views and poses; the mask; the first view alone."""
    people, poses = (_cut_views(golden, draw, kind, cell) for kind in ("view", "pose"))
    visible = torch.tensor(draw["visible_flags"], dtype=torch.bool)
    views = torch.stack([image_tensor(view) for view in people])
    shown = torch.where(visible[:, None, None, None], views, -1.0)
    person, masked = (to_grid(some[None], GRID)[0] for some in (views, shown))
    height, width = golden[f"draw{draw['draw']}.person_f32_corner"].shape[-2:]
    rows, columns = _CORNERS
    reference = draw["views"][0] | {"crop_top_left": draw["vae_ref_crop"], "flip": False}
    first = _cut(_picture(golden, draw, "view", 0), reference, cell)
    return {
        "person_u8": (grid_u8(people), EXACT),
        "pose_u8": (grid_u8(poses), EXACT),
        "masked_u8": (to_uint8(masked), EXACT),
        "person_f32_corner": (person[:, :height, :width], PIXELS),
        "masked_f32_cells": (rearrange(masked[:, rows, columns], "c v -> v c"), PIXELS),
        "flag": (visibility_mask(visible, cell), EXACT),
        "vae_ref_u8": (rearrange(torch.from_numpy(np.array(first)), "h w c -> c h w"), EXACT),
    }


def _clip_rows(name: str, prefix: str, golden: Tensors, draw: Draw) -> Iterator[Row]:
    """Compare what CLIP sees: the whole photographs, of which the first stands alone once more."""
    views = [_picture(golden, draw, "view", view) for view in range(GRID.num_views)]
    pixels = torch.stack([clip_pixels(view, CLIP_SIZE) for view in views])
    keys = (f"{prefix}.reference_clip_strided", f"{prefix}.reference_clip_sum_f64")
    yield from lattice_rows(name, keys, pixels, golden)
    first = f"{prefix}.clip_ref_sum_f64"
    yield mean_row(f"{name}/{first}", pixels[0], golden[first])


def _cut_views(
    golden: Tensors, draw: Draw, kind: str, cell: tuple[int, int]
) -> Sequence[Image.Image]:
    """Cut the four photographs, or pose maps, which reuse the same draws."""
    return [
        _cut(_picture(golden, draw, kind, view), facts, cell)
        for view, facts in enumerate(draw["views"])
    ]


def _picture(golden: Tensors, draw: Draw, kind: str, view: int) -> Image.Image:
    return picture(golden[f"item{draw['item']}.{kind}{view}_png"])


def _cut(image: Image.Image, facts: Draw, cell: tuple[int, int]) -> Image.Image:
    """Cut a picture to the cell with a recorded crop, in pixels, and flip."""
    width, height = facts["resized_wh"]
    surplus = (height - cell[0], width - cell[1])
    # The middle of the share of chance that leads to this very pixel.
    pairs = zip(facts["crop_top_left"], surplus, strict=True)
    top, left = ((offset + 0.5) / (extra + 1) for offset, extra in pairs)
    draw = GeometricDraw(crop=(top, left), flip=facts["flip"])
    return fit_view(image, cell, "crop", draw)[0]
