"""The grid: how V views become one picture. The only code that knows the order of the cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from einops import rearrange, repeat

from jcdm.errors import ConfigError

if TYPE_CHECKING:  # the configuration needs GridShape, and `--help` must not wait for torch
    from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class GridShape:
    """Number of cells down and across; view v stands in row v // cols, column v % cols."""

    rows: int = 2
    cols: int = 2

    def __post_init__(self) -> None:
        if self.rows < 1 or self.cols < 1:
            raise ConfigError(
                f"a grid needs at least one row and one column, got {self.rows} x {self.cols}. "
                "Set data.grid_rows and data.grid_cols."
            )

    @property
    def num_views(self) -> int:
        """Number of cells V."""
        return self.rows * self.cols


def to_grid(views: Tensor, grid: GridShape) -> Tensor:
    """Tile views row by row: (B,V,C,H,W) -> (B,C,rows*H,cols*W). Inverse: `from_grid`."""
    return rearrange(views, "b (r c) ch h w -> b ch (r h) (c w)", r=grid.rows, c=grid.cols)


def from_grid(image: Tensor, grid: GridShape) -> Tensor:
    """Cut a grid into its views: (B,C,rows*H,cols*W) -> (B,V,C,H,W). Inverse: `to_grid`."""
    return rearrange(image, "b ch (r h) (c w) -> b (r c) ch h w", r=grid.rows, c=grid.cols)


def fill_cells(flags: Tensor, grid: GridShape, *, height: int, width: int) -> Tensor:
    """Paint one number a view over its whole cell: (B,V) -> (B,1,rows*height,cols*width) float32.

    With `visible` as input this is the visibility mask of the U-Net: 1 = reference view.
    """
    cells = repeat(flags.float(), "b v -> b v 1 h w", h=height, w=width)
    return to_grid(cells, grid)
