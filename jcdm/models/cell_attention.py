"""Self-attention that stays inside each cell of the grid: what views know of each other, cut off.

For measuring what attention across views is worth. Convolutions still see a few pixels over the
edges of a cell.
"""

from typing import Any

from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from einops import rearrange
from torch import Tensor

from jcdm.errors import DataError
from jcdm.grid import GridShape


class CellLayout:
    """What all processors of a U-Net share: the grid's cells, and its size in latents right now."""

    def __init__(self, grid: GridShape, num_levels: int) -> None:
        self.grid = grid
        self.num_levels = num_levels
        self.latent_size = (0, 0)

    def size_of(self, num_places: int) -> tuple[int, int]:
        """Return (height, width) of the U-Net's level that has as many places.

        Errors: DataError where a level's size is no multiple of the grid's.
        """
        for level in range(self.num_levels):
            height, width = (size // 2**level for size in self.latent_size)
            if height * width == num_places:
                if height % self.grid.rows or width % self.grid.cols:
                    break
                return height, width
        raise DataError(
            f"{num_places} places of a grid of {self.latent_size} latents are no whole cells; "
            "unet.attend_across_cells=false needs views that every level of the U-Net divides."
        )


class CellAttentionProcessor:
    """Computes self-attention as `inner` does, cell by cell."""

    def __init__(self, inner: Any, layout: CellLayout) -> None:
        self.inner, self.layout = inner, layout

    def __call__(
        self,
        attention: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
    ) -> Tensor:
        """Attend within the cells of hidden_states (B,N,C): (B,N,C)."""
        height, width = self.layout.size_of(hidden_states.shape[1])
        sizes = {"r": self.layout.grid.rows, "c": self.layout.grid.cols}
        sizes |= {"h": height // sizes["r"], "w": width // sizes["c"]}
        cells = rearrange(hidden_states, "b (r h c w) d -> (b r c) (h w) d", **sizes)
        found = self.inner(attention, cells, encoder_hidden_states, attention_mask, temb)
        return rearrange(found, "(b r c) (h w) d -> b (r h c w) d", **sizes)


def attend_within_cells(unet: UNet2DConditionModel, grid: GridShape) -> CellLayout:
    """Keep the U-Net's self-attention inside cells; returns the layout to tell latent sizes."""
    layout = CellLayout(grid, len(unet.config["block_out_channels"]))
    processors: dict[str, Any] = {
        name: CellAttentionProcessor(processor, layout) if ".attn1." in name else processor
        for name, processor in unet.attn_processors.items()
    }
    unet.set_attn_processor(processors)
    return layout
