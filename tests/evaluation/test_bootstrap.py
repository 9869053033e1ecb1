"""Bootstrap intervals of means."""

import math

import numpy as np
import pytest
from scipy.stats import bootstrap

from jcdm.evaluation.bootstrap import bootstrap_intervals


def test_intervals_are_those_of_scipy() -> None:
    values = np.random.default_rng(0).normal(3, 2, 400)
    low, high = bootstrap_intervals({"a": values})["a"]
    theirs = bootstrap((values,), np.mean, n_resamples=20_000, method="percentile", rng=1)
    width = theirs.confidence_interval.high - theirs.confidence_interval.low
    assert abs(low - theirs.confidence_interval.low) < 0.06 * width
    assert abs(high - theirs.confidence_interval.high) < 0.06 * width


def test_intervals_hold_the_mean_as_often_as_they_say() -> None:
    draws = np.random.default_rng(1).exponential(2, (300, 60))
    found = bootstrap_intervals({str(i): row for i, row in enumerate(draws)}, share=0.9)
    covered = np.mean([low <= 2 <= high for low, high in found.values()])
    assert 0.8 < covered < 0.95


def test_unknown_and_infinite_values() -> None:
    values = np.array([1.0, 2.0, math.nan, 3.0])
    found = bootstrap_intervals(
        {"some": values, "infinite": np.array([1, math.inf]), "one": np.array([1.0, math.nan])}
    )
    assert found.keys() == {"some"}
    assert found["some"] == bootstrap_intervals({"known": values[[0, 1, 3]]})["known"]
    assert found["some"] == pytest.approx((1, 3), abs=0.4)
