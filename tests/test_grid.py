import pytest
import torch

from jcdm.errors import ConfigError
from jcdm.grid import GridShape, fill_cells, from_grid, to_grid


@pytest.mark.parametrize(("rows", "cols"), [(2, 2), (1, 2), (2, 3), (3, 1)])
def test_cutting_undoes_tiling(rows, cols):
    grid = GridShape(rows=rows, cols=cols)
    views = torch.randn(3, grid.num_views, 2, 4, 6)
    assert torch.equal(from_grid(to_grid(views, grid), grid), views)


def test_cells_are_ordered_row_by_row():
    views = torch.arange(4.0)[None, :, None, None, None].expand(1, 4, 1, 2, 2)
    picture = to_grid(views, GridShape())[0, 0]
    assert picture[0, 0] == 0 and picture[0, -1] == 1
    assert picture[-1, 0] == 2 and picture[-1, -1] == 3


def test_visibility_fills_whole_cells():
    flags = torch.tensor([[True, False, False, True]])
    mask = fill_cells(flags, GridShape(), height=2, width=3)
    assert mask.shape == (1, 1, 4, 6)
    assert mask[0, 0, :2, :3].eq(1).all() and mask[0, 0, :2, 3:].eq(0).all()
    assert mask.sum() == 12


def test_a_grid_without_cells_is_refused():
    with pytest.raises(ConfigError, match=r"grid_rows"):
        GridShape(rows=0, cols=2)
