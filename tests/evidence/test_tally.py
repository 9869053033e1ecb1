"""Means and intervals over people."""

import numpy as np
import pytest

from jcdm.evidence.tally import Tally, estimate


def test_mean_over_views_and_interval_over_people() -> None:
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(40), 5)
    values = rng.normal(size=40)[people]  # all views of a person alike: 40 facts, not 200
    found = estimate(people, values)
    assert found.mean == pytest.approx(values.mean()) and found.num_values == 200
    width = 2 * 1.96 * values.std() / np.sqrt(40)
    assert found.high - found.low == pytest.approx(width, rel=0.15)
    assert found.low < found.mean < found.high
    assert estimate(people, values) == found


def test_nan_is_left_out_and_infinity_has_no_estimate() -> None:
    tally = Tally()
    tally.add(0, {"a": 1.0, "b": float("nan"), "c": float("inf")})
    tally.add(1, {"a": 3.0, "b": 2.0, "c": 1.0})
    found = tally.estimates()
    assert found["a"].mean == 2 and found["a"].num_values == 2
    assert found["b"].num_values == 1 and "c" not in found
    assert tally.person_means("a") == {0: 1.0, 1: 3.0}
