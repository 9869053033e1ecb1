"""Samples of stage 1: what is shown, what is hidden, and the poses."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from jcdm.compat.parity.clip_pictures import CLIP_SIZE, lattice_rows
from jcdm.compat.parity.comparison import EXACT, PIXELS, Row, compare
from jcdm.compat.parity.fixtures import FixtureFolder, picture
from jcdm.compat.parity.grids import VAE_FACTOR
from jcdm.data.keypoints import flatten_pose
from jcdm.data.transforms import clip_pixels, fit_view, image_tensor
from jcdm.grid import GridShape, fill_cells, from_grid
from jcdm.records import NUM_KEYPOINTS

BLACK, WHITE = (Image.new("RGB", (CLIP_SIZE, CLIP_SIZE), colour) for colour in ("black", "white"))
SUBSTITUTE_PICTURE = BLACK  # for a missing file, which our data room refuses
SUBSTITUTE_KEYPOINTS = torch.zeros(NUM_KEYPOINTS, 2)


def compare_stage1_data(fixtures: FixtureFolder, name: str) -> Iterator[Row]:
    """Compare every recorded sample."""
    golden, settings = fixtures.tensors(name), fixtures.settings(name)
    for draw in settings["draws"]:
        prefix = f"draw{draw['draw']}"
        yield from _clip_rows(name, prefix, golden, draw)
        for key, (found, tolerance) in _plain_parts(golden, draw, settings["size"]).items():
            if f"{prefix}.{key}" in golden:
                expected = golden[f"{prefix}.{key}"]
                yield compare(f"{name}/{prefix}.{key}", found, expected, tolerance)


def _clip_rows(
    name: str, prefix: str, golden: Mapping[str, Tensor], draw: Mapping[str, Any]
) -> Iterator[Row]:
    """Compare what CLIP sees: the views, the visible ones alone, and the mask as a picture."""
    pictures = _pictures(golden, draw)
    shown = _shown(golden, draw)[:, None, None, None]
    black, white = clip_pixels(BLACK, CLIP_SIZE), clip_pixels(WHITE, CLIP_SIZE)
    pixels = torch.stack([clip_pixels(image, CLIP_SIZE) for image in pictures])
    found = {
        "reference_image_clip": pixels,
        "source_clip": torch.where(shown, pixels, black),
        "mask_label_clip": torch.where(shown, white, black),
    }
    for key, tensor in found.items():
        keys = (f"{prefix}.{key}_strided", f"{prefix}.{key}_sum_f64")
        yield from lattice_rows(name, keys, tensor, golden)


def _plain_parts(
    golden: Mapping[str, Tensor], draw: Mapping[str, Any], size: int
) -> dict[str, tuple[Tensor, Any]]:
    """Views in [-1,1] at size x size, the visible ones alone, the mask, and the poses."""
    pictures, shown = _pictures(golden, draw), _shown(golden, draw)
    views = torch.stack(
        [image_tensor(fit_view(image, (size, size), "stretch")[0]) for image in pictures]
    )
    row = GridShape(rows=1, cols=len(shown))
    cells = fill_cells(shown[None], row, height=size // VAE_FACTOR, width=size // VAE_FACTOR)
    return {
        "reference_image_f32": (views, PIXELS),
        "source_f32": (torch.where(shown[:, None, None, None], views, -1.0), PIXELS),
        "mask_label": (from_grid(cells, row)[0], EXACT),
        "pose_coordinates": (_poses(golden, draw), PIXELS),
    }


def _pictures(golden: Mapping[str, Tensor], draw: Mapping[str, Any]) -> list[Image.Image]:
    names = [f"item{draw['item']}.view{view}_png" for view in range(len(_shown(golden, draw)))]
    return [picture(golden[n]) if n in golden else SUBSTITUTE_PICTURE for n in names]


def _poses(golden: Mapping[str, Tensor], draw: Mapping[str, Any]) -> Tensor:
    """Numbers of all views (V,2K), as they stand in the file."""
    num_views = len(_shown(golden, draw))
    names = [f"item{draw['item']}.view{view}_keypoints" for view in range(num_views)]
    keypoints = torch.stack([golden.get(name, SUBSTITUTE_KEYPOINTS) for name in names])
    return flatten_pose(keypoints, torch.ones(keypoints.shape[:2], dtype=torch.bool))


def _shown(golden: Mapping[str, Tensor], draw: Mapping[str, Any]) -> Tensor:
    """Which views are references (V,) bool: the first ones."""
    num_views = len(golden[f"draw{draw['draw']}.pose_coordinates"])
    return torch.arange(num_views) < num_views - draw["num_masked"]
