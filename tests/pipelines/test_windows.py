"""Windows over a sequence: they cover it, overlap as asked, and average without moving anything."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from jcdm.errors import ConfigError
from jcdm.pipelines.noise import KeyedNoise
from jcdm.pipelines.windows import WindowNoise, WindowTable, window_starts


@pytest.mark.parametrize(
    ("length", "window", "overlap", "expected"),
    [
        (1, 2, 1, [0]),
        (2, 2, 1, [0]),
        (5, 2, 1, [0, 1, 2, 3]),
        (5, 2, 0, [0, 2, 3]),
        (6, 2, 0, [0, 2, 4]),
        (7, 3, 1, [0, 2, 4]),
        (8, 3, 1, [0, 2, 4, 5]),
        (3, 1, 0, [0, 1, 2]),
    ],
)
def test_starts(length, window, overlap, expected):
    assert window_starts(length, window, overlap) == expected


@given(st.integers(1, 40), st.integers(1, 6), st.integers(0, 5))
def test_windows_cover_the_sequence_and_neighbours_share_enough(length, window, overlap):
    if overlap >= window:
        with pytest.raises(ConfigError, match=f"overlap is {overlap}"):
            window_starts(length, window, overlap)
        return
    starts = window_starts(length, window, overlap)
    covered = {start + i for start in starts for i in range(window)}
    assert set(range(length)) <= covered
    assert max(covered) == max(length, window) - 1
    assert all(0 < b - a <= window - overlap for a, b in pairwise(starts))


def test_references_stand_first_in_every_window():
    table = WindowTable(2, [0, 1], 2)
    assert table.cells.tolist() == [[0, 1, 2, 3], [0, 1, 3, 4]]
    assert table.num_states == 5


def test_merging_is_the_left_inverse_of_spreading_and_a_mean():
    table = WindowTable(1, window_starts(7, 3, 1), 3)
    states = torch.randn(8, 2, 3)
    torch.testing.assert_close(table.merge(table.spread(states)), states)
    table = WindowTable(1, [0, 1], 2)
    values = torch.tensor([[1.0, 2.0, 3.0], [3.0, 5.0, 7.0]])
    assert table.merge(values).tolist() == [2.0, 2.0, 4.0, 7.0]


def test_a_state_has_the_same_noise_in_every_window():
    table = WindowTable(1, [0, 1], 2)
    noise = WindowNoise(KeyedNoise(torch.tensor([4])), table)
    numbers = noise.normal("x", (3, 5))
    assert numbers.shape == (2, 3, 5)
    assert torch.equal(numbers[0, 0], numbers[1, 0])
    assert torch.equal(numbers[0, 2], numbers[1, 1])
    assert not torch.equal(numbers[0, 1], numbers[0, 2])
    assert len(noise.generators()) == 1
