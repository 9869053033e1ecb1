"""Gaps of points are bridged linearly in time, and smoothing is a Gaussian mean of what is seen."""

import numpy as np
import pytest

from jcdm.poses.tracks import bridge_gaps, smooth_points


def track(*values: float | None) -> np.ndarray:
    """One point along time: x = value, y = 2 value; None = unseen. (F,1,3)"""
    return np.array([[[0, 0, 0] if v is None else [v, 2 * v, 0.8]] for v in values], float)


def test_a_gap_is_filled_by_the_clock_not_by_counting() -> None:
    seconds = np.array([0, 0.1, 0.9, 1.0])
    filled, bridged = bridge_gaps(track(0, None, None, 1), seconds, 2)
    np.testing.assert_allclose(filled[:, 0, 0], [0, 0.1, 0.9, 1.0])
    np.testing.assert_allclose(filled[:, 0, 1], [0, 0.2, 1.8, 2.0])
    np.testing.assert_allclose(filled[:, 0, 2], [0.8, 0.4, 0.4, 0.8])
    assert bridged[:, 0].tolist() == [False, True, True, False]


@pytest.mark.parametrize(("max_gap", "num_filled"), [(0, 0), (1, 1), (2, 3)])
def test_only_short_gaps_are_filled_and_never_the_ends(max_gap: int, num_filled: int) -> None:
    points = track(None, 1, None, 2, None, None, 3, None, None, None, 4, None)
    filled, bridged = bridge_gaps(points, np.arange(12.0), max_gap)
    assert bridged.sum() == num_filled
    np.testing.assert_array_equal(filled[~bridged], points[~bridged])
    assert (filled[[0, 11], 0] == 0).all()


def test_smoothing_is_the_weighted_mean_written_the_slow_way() -> None:
    stream = np.random.default_rng(0)
    points, seconds = stream.random((9, 4, 3)), np.sort(stream.random(9))
    points[stream.random((9, 4)) < 0.3, 2] = 0
    smoothed = smooth_points(points, seconds, 0.15)
    for frame in range(9):
        for point in range(4):
            if points[frame, point, 2] == 0:
                np.testing.assert_array_equal(smoothed[frame, point], points[frame, point])
                continue
            total, place = 0.0, np.zeros(2)
            for other in range(9):
                if points[other, point, 2] > 0:
                    weight = np.exp(-(((seconds[frame] - seconds[other]) / 0.15) ** 2) / 2)
                    total, place = total + weight, place + weight * points[other, point, :2]
            np.testing.assert_allclose(smoothed[frame, point, :2], place / total)
            assert smoothed[frame, point, 2] == points[frame, point, 2]
    assert smooth_points(points, seconds, 0) is points
