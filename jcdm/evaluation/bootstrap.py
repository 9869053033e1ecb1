"""How sure a mean over pairs is: percentile bootstrap (Efron, 1979)."""

from collections.abc import Mapping

import numpy as np

from jcdm.seeding import generator

NUM_RESAMPLES = 1000
_BLOCK = 50  # resamples drawn at once


def bootstrap_intervals(
    per_pair: Mapping[str, np.ndarray], *, share: float = 0.95
) -> dict[str, tuple[float, float]]:
    """Interval of every mean: name -> (low, high), `share` of the means of 1000 resamples.

    per_pair: name -> (N,); NaN are left out of a mean, infinite values leave their score without an
    interval, as do fewer than two values. Pairs are drawn with replacement; the draw is the same
    for the same number of pairs.
    """
    found = {}
    for name, values in per_pair.items():
        known = values[~np.isnan(values)].astype(np.float64)
        if len(known) >= 2 and np.isfinite(known).all():
            tail = (1 - share) / 2
            low, high = np.quantile(_resampled_means(known), [tail, 1 - tail])
            found[name] = (float(low), float(high))
    return found


def _resampled_means(values: np.ndarray) -> np.ndarray:
    draws = generator(len(values), "bootstrap")
    means = [
        values[draws.integers(len(values), size=(_BLOCK, len(values)))].mean(axis=1)
        for _ in range(NUM_RESAMPLES // _BLOCK)
    ]
    return np.concatenate(means)
