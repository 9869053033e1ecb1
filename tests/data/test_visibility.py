"""Which views are references is drawn from the sample's key, between the configured ends."""

import pytest
import torch

from jcdm.config import VisibilityConfig
from jcdm.data.visibility import draw_visibility
from jcdm.errors import DataError

ALL = torch.ones(4, dtype=torch.bool)


def drawn(config: VisibilityConfig, present: torch.Tensor = ALL) -> list[tuple[bool, ...]]:
    return [tuple(draw_visibility(key, present, config).tolist()) for key in range(300)]


def test_any_reaches_every_arrangement_with_a_reference_and_a_target():
    assert len(set(drawn(VisibilityConfig()))) == 2**4 - 2


def test_prefix_reaches_the_published_arrangements_only():
    found = set(drawn(VisibilityConfig(kind="prefix")))
    assert found == {
        (True, False, False, False),
        (True, True, False, False),
        (True, True, True, False),
    }


def test_the_number_of_references_keeps_to_its_ends_and_is_uniform():
    counts = [sum(v) for v in drawn(VisibilityConfig(min_references=1, max_references=2))]
    assert set(counts) == {1, 2} and 110 < counts.count(1) < 190
    assert {sum(v) for v in drawn(VisibilityConfig(min_references=3))} == {3}


def test_empty_cells_are_never_visible_and_a_target_is_always_left():
    present = torch.tensor([True, False, True, False])
    found = set(drawn(VisibilityConfig(min_references=3), present))
    assert found == {(True, False, False, False), (False, False, True, False)}


def test_one_view_is_refused():
    with pytest.raises(DataError, match="has 1 views, expected at least two"):
        draw_visibility(0, torch.tensor([True, False]), VisibilityConfig())
