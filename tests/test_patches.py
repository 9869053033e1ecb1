"""Patch tokens are averaged where they stand in the picture, without the class token."""

import pytest
import torch

from jcdm.errors import ConfigError
from jcdm.patches import pool_patches


def tokens(side: int, *leading: int, width: int = 3) -> torch.Tensor:
    shape = (*leading, 1 + side * side, width)
    return torch.randn(shape, generator=torch.Generator().manual_seed(side))


def test_patches_are_means_of_squares_row_by_row() -> None:
    found = pool_patches(given := tokens(6, 2, 4), 2)
    assert found.shape == (2, 4, 4, 3)
    for row in range(2):
        for column in range(2):
            inside = [
                1 + 6 * (3 * row + i) + 3 * column + j  # the class token stands before them
                for i in range(3)
                for j in range(3)
            ]
            torch.testing.assert_close(
                found[..., 2 * row + column, :], given[..., inside, :].mean(-2)
            )


def test_as_many_patches_as_the_encoder_sees_are_its_own() -> None:
    torch.testing.assert_close(pool_patches(given := tokens(4), 4), given[1:])


def test_a_grid_that_does_not_divide_shares_patches() -> None:
    """Three of four a side: patch 1 of a row averages the encoder's patches 1 and 2."""
    found = pool_patches(given := tokens(4), 3)
    middle = [1 + 4 * row + column for row in (1, 2) for column in (1, 2)]
    torch.testing.assert_close(found[4], given[middle].mean(0))


def test_more_patches_than_the_encoder_sees_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"jci\.patch_grid is 5.*4 x 4 patches.*at most 4"):
        pool_patches(tokens(4), 5)
