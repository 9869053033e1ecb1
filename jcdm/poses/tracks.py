"""Points along time: bridge short gaps, smooth."""

import itertools

import numpy as np

BRIDGED_CONFIDENCE = 0.5
"""Confidence of a bridged point, as a share of that of the less sure of the two it lies between."""


def bridge_gaps(
    points: np.ndarray, seconds: np.ndarray, max_gap: int
) -> tuple[np.ndarray, np.ndarray]:
    """Fill gaps of at most `max_gap` frames between two sightings of a point, linearly in time.

    points (F,P,3): x, y and confidence, 0 = unseen; seconds (F,), increasing. Returns the points,
    and which of them are bridged (F,P) bool. What precedes a point's first sighting or follows its
    last one stays unseen.
    """
    filled, bridged = points.copy(), np.zeros(points.shape[:2], bool)
    for point in range(points.shape[1]):
        sightings = np.flatnonzero(points[:, point, 2] > 0)
        for before, after in itertools.pairwise(sightings):
            if 1 < after - before <= max_gap + 1:
                gap = slice(before + 1, after)
                ends = points[[before, after], point]
                share = (seconds[gap] - seconds[before]) / (seconds[after] - seconds[before])
                filled[gap, point, :2] = ends[0, :2] + share[:, None] * (ends[1] - ends[0])[:2]
                filled[gap, point, 2] = BRIDGED_CONFIDENCE * ends[:, 2].min()
                bridged[gap, point] = True
    return filled, bridged


def smooth_points(points: np.ndarray, seconds: np.ndarray, width: float) -> np.ndarray:
    """Average every seen point over time with a Gaussian of standard deviation `width` seconds.

    points (F,P,3); unseen points (confidence 0) neither count nor change. 0 changes nothing.
    """
    if width == 0:
        return points
    apart = (seconds[:, None] - seconds[None]) / width
    weights = np.exp(-(apart**2) / 2)
    seen = points[..., 2] > 0
    total = np.einsum("fg,gpc->fpc", weights, points[..., :2] * seen[..., None])
    share = np.maximum(weights @ seen, 1e-12)
    smoothed = points.copy()
    smoothed[..., :2] = np.where(seen[..., None], total / share[..., None], points[..., :2])
    return smoothed
