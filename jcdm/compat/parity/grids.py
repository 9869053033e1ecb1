"""Pictures laid on the grid as for published sampling: stretched, hidden views black."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from einops import rearrange
from PIL import Image
from torch import Tensor

from jcdm.compat.parity.comparison import EXACT, Row, compare
from jcdm.compat.parity.fixtures import FixtureFolder, picture
from jcdm.compat.parity.loading import GRID
from jcdm.data.transforms import fit_view
from jcdm.grid import fill_cells, to_grid

VAE_FACTOR = 8  # a constant of the published data code


def compare_grid(fixtures: FixtureFolder, name: str) -> Iterator[Row]:
    """Compare the grid that sampling starts from: all views, the visible ones, the mask."""
    golden, settings = fixtures.tensors(name), fixtures.settings(name)
    cell, visible = (settings["cell_height"], settings["cell_width"]), shown_views(settings)
    cells = _stretched(golden, "in.view", cell)
    found = {
        "out.grid_u8_hwc": grid_u8(cells),
        "out.masked_grid_u8_hwc": grid_u8(hide(cells, visible)),
    }
    for key, grid in found.items():
        ours = rearrange(grid, "c h w -> h w c")
        yield compare(f"{name}/{key}", ours, golden[key], EXACT)
    yield compare(f"{name}/out.flag", visibility_mask(visible, cell), golden["out.flag"], EXACT)


def assembly_rows(name: str, golden: Mapping[str, Tensor], settings: dict) -> Iterator[Row]:
    """Compare the grids that a sampling run was given with the views they were made of."""
    cell, visible = (
        (settings["height"] // GRID.rows, settings["width"] // GRID.cols),
        shown_views(settings),
    )
    for kind, key in (("in.view", "in.masked_image_u8"), ("in.pose", "in.pose_image_u8")):
        if f"{kind}0_png" in golden:
            cells = _stretched(golden, kind, cell)
            shown = hide(cells, visible) if kind == "in.view" else cells
            ours = rearrange(grid_u8(shown), "c h w -> h w c")
            yield compare(f"{name}/{key}", ours, golden[key], EXACT)


def shown_views(settings: Mapping[str, Any]) -> Tensor:
    """Read which views are references, (V,) bool, from settings that call a visible view 0."""
    named = (value for key, value in settings.items() if key.startswith("visible_situation"))
    return torch.tensor(next(named)) == 0


def hide(cells: Sequence[Image.Image], visible: Tensor) -> list[Image.Image]:
    """Replace the cells that are to be painted by black ones."""
    return [
        cell if seen else Image.new("RGB", cell.size)
        for cell, seen in zip(cells, visible, strict=True)
    ]


def grid_u8(cells: Sequence[Image.Image]) -> Tensor:
    """Lay cells on the grid: uint8 (3,2H,2W)."""
    views = [rearrange(torch.from_numpy(np.array(cell)), "h w c -> c h w") for cell in cells]
    return to_grid(torch.stack(views)[None], GRID)[0]


def visibility_mask(visible: Tensor, cell: tuple[int, int]) -> Tensor:
    """Paint visible (V,) as the U-Net's channel (1,2h,2w); cell: height and width in pixels."""
    height, width = (size // VAE_FACTOR for size in cell)
    return fill_cells(visible[None], GRID, height=height, width=width)[0]


def _stretched(golden: Mapping[str, Tensor], kind: str, cell: tuple[int, int]) -> list[Image.Image]:
    names = (f"{kind}{view}_png" for view in range(GRID.num_views))
    return [fit_view(picture(golden[name]), cell, "stretch")[0] for name in names]
