"""Self-attention that stays inside the cells of the grid."""

from pathlib import Path

import denoiser_factory as factory
import pytest
import torch
from diffusers.models.attention_processor import Attention, AttnProcessor2_0
from einops import rearrange

from jcdm.errors import DataError
from jcdm.grid import GridShape, from_grid, to_grid
from jcdm.models.cell_attention import CellAttentionProcessor, CellLayout
from jcdm.models.denoiser import JCDMDenoiser
from jcdm.models.fixed_keys import fixed_keys

GRID = GridShape(rows=2, cols=2)


def test_every_cell_attends_to_itself_alone() -> None:
    torch.manual_seed(0)
    attention = Attention(8, heads=2, dim_head=4)
    layout = CellLayout(GRID, num_levels=2)
    layout.latent_size = (16, 8)  # the level below has 8 x 4 places
    cells = torch.randn(3, 4, 8, 4, 2)
    places = rearrange(to_grid(cells, GRID), "b d h w -> b (h w) d")
    processor = CellAttentionProcessor(AttnProcessor2_0(), layout)
    with torch.no_grad():
        found = processor(attention, places)
        alone = attention(rearrange(cells, "b v d h w -> (b v) (h w) d"))
    grid = rearrange(found, "b (h w) d -> b d h w", h=8)
    expected = rearrange(alone, "(b v) (h w) d -> b v d h w", b=3, h=4)
    torch.testing.assert_close(from_grid(grid, GRID), expected)


def test_the_option_changes_the_prediction_and_survives_the_disk(tmp_path: Path) -> None:
    apart, together = (
        factory.randomise(factory.build(attend_across_cells=flag)) for flag in (False, True)
    )
    inputs = (factory.noisy_grid(), factory.TIMESTEPS)
    with torch.no_grad():
        found = apart(*inputs, **factory.conditions())
        assert (found - together(*inputs, **factory.conditions())).abs().max() > 1e-3
        apart.save_pretrained(tmp_path)
        again = JCDMDenoiser.from_pretrained(tmp_path)
        assert torch.equal(again(*inputs, **factory.conditions()), found)
        with fixed_keys(apart.unet):
            torch.testing.assert_close(apart(*inputs, **factory.conditions()), found)
    assert factory.build().config["attend_across_cells"] is True


def test_cells_that_do_not_divide_are_named() -> None:
    layout = CellLayout(GRID, num_levels=2)
    layout.latent_size = (12, 6)
    assert layout.size_of(72) == (12, 6)
    with pytest.raises(DataError, match="no whole cells"):
        layout.size_of(18)  # 6 x 3
    with pytest.raises(DataError, match="no whole cells"):
        layout.size_of(17)
