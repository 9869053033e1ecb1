"""Attention across positions: within a row only, blind to absent positions, order-aware."""

import pytest
import torch
from torch import Tensor

from jcdm.errors import ConfigError, DataError
from jcdm.models.attention import CrossPositionBlock, key_mask


def build_block() -> CrossPositionBlock:
    torch.manual_seed(0)
    return CrossPositionBlock(8, 2, 5)


def hidden(positions: int = 4) -> Tensor:
    return torch.randn(3, positions, 8, generator=torch.Generator().manual_seed(1))


def flip_one(row: int, position: int) -> Tensor:
    changed = hidden()
    changed[row, position] *= -1
    return changed


def changed_places(present: Tensor | None = None) -> list[list[bool]]:
    block = build_block()
    difference = block(hidden(), present) - block(flip_one(1, 2), present)
    return (difference.abs().amax(dim=-1) > 0).tolist()


def test_positions_mix_within_their_row_only() -> None:
    assert changed_places() == [[False] * 4, [True] * 4, [False] * 4]


def test_absent_positions_are_heard_by_themselves_only() -> None:
    present = torch.ones(3, 4, dtype=torch.bool)
    present[1, 2] = False
    assert changed_places(present) == [[False] * 4, [False, False, True, False], [False] * 4]


def test_a_row_without_presence_stays_finite() -> None:
    present = torch.tensor([[True, False], [False, False]])
    assert key_mask(present).tolist() == [[[True, False]], [[True, True]]]
    nothing = torch.zeros(3, 4, dtype=torch.bool)
    assert build_block()(hidden(), nothing).isfinite().all()


def test_order_matters() -> None:
    block = build_block()
    assert not torch.allclose(block(hidden()), block(hidden().flip(1)).flip(1), atol=1e-4)


def test_the_position_table_is_stored() -> None:
    assert "positions.pe" in build_block().state_dict()


def test_errors_are_named() -> None:
    with pytest.raises(DataError, match=r"found 6 positions .*at most 5"):
        build_block()(hidden(6))
    with pytest.raises(ConfigError, match="width 8 and 3 heads"):
        CrossPositionBlock(8, 3, 5)
