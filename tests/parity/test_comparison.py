"""Each tolerance fails what lies beyond it and nothing else."""

import pytest
import torch
from torch import Tensor

from jcdm.compat.parity import comparison
from jcdm.compat.parity.comparison import Tolerance, agree, compare, failure

TOLERANCES = {k: v for k, v in vars(comparison).items() if isinstance(v, Tolerance)}
GOLDEN = torch.tensor([4.0, -3.0, 0.5, 0.0], dtype=torch.float64)


def moved(kind: str, distance: float) -> Tensor:
    """Move the record by an error of the given kind and size."""
    size = {"max-abs": 1.0, "L2": GOLDEN.norm().item(), "entrywise": 0.5}[kind]
    return GOLDEN + torch.tensor([0, 0, distance * size, 0])


@pytest.mark.parametrize("name", TOLERANCES)
def test_the_bound_is_the_bound(name: str) -> None:
    tolerance = TOLERANCES[name]
    beyond = 1.01 * tolerance.bound + 1e-12
    assert compare("x", moved(tolerance.kind, 0.99 * tolerance.bound), GOLDEN, tolerance).passed
    row = compare("x", moved(tolerance.kind, beyond), GOLDEN, tolerance)
    assert not row.passed and "FAIL" in str(row)
    assert row.error == pytest.approx(beyond)


def test_no_tolerance_is_wider_than_recommended() -> None:
    assert {name: (t.kind, t.bound) for name, t in TOLERANCES.items()} == {
        "FORWARD": ("max-abs", 1e-4),
        "LATENTS": ("max-abs", 1e-3),
        "LEVELS": ("max-abs", 1),
        "UNIT_LEVELS": ("max-abs", 1 / 255),
        "LOSS": ("L2", 1e-5),
        "GRADIENT": ("L2", 1e-3),
        "SCHEDULE": ("entrywise", 1e-5),
        "STEP": ("L2", 1e-5),
        "EXACT": ("max-abs", 0),
        "PIXELS": ("max-abs", 2e-6),
    }


@pytest.mark.parametrize("name", TOLERANCES)
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_not_finite_fails(name: str, bad: float) -> None:
    spoilt = GOLDEN.clone()
    spoilt[1] = bad
    for found, golden in ((spoilt, GOLDEN), (GOLDEN, spoilt), (spoilt, spoilt)):
        assert not compare("x", found, golden, TOLERANCES[name]).passed


def test_another_shape_fails_even_where_it_would_broadcast() -> None:
    row = compare("x", GOLDEN[None], GOLDEN, comparison.FORWARD)
    assert not row.passed and "(1, 4)" in row.note and "(4,)" in row.note


@pytest.mark.parametrize("tolerance", [comparison.LOSS, comparison.SCHEDULE])
def test_an_entry_of_zero(tolerance: Tolerance) -> None:
    zeros = torch.zeros(3)
    assert compare("x", zeros, zeros, tolerance).passed
    assert not compare("x", zeros + 1e-12, zeros, tolerance).passed
    beside = GOLDEN + torch.tensor([0, 0, 0, 1e-6])  # 4 is the largest entry, 5 the norm
    assert compare("x", beside, GOLDEN, tolerance).passed
    assert not compare("x", beside + torch.tensor([0, 0, 0, 1e-4]), GOLDEN, tolerance).passed


def test_an_entry_of_a_table_is_measured_against_itself() -> None:
    table = torch.tensor([1.0, 1e-6], dtype=torch.float64)
    found = table + torch.tensor([0, 1e-10])
    assert not compare("x", found, table, comparison.SCHEDULE).passed
    assert compare("x", found, table, comparison.STEP).passed


def test_empty_tensors_are_equal() -> None:
    for tolerance in TOLERANCES.values():
        assert compare("x", torch.empty(0), torch.empty(0), tolerance).passed


def test_settings_must_be_equal_and_complete() -> None:
    assert agree("x", {"a": 1}, {"a": 1}).passed
    for found in ({"a": 2}, {}, {"a": 1, "b": None}):
        row = agree("x", found, {"a": 1})
        assert not row.passed and "1 differ, first: " in row.note


def test_a_reason_stays_in_one_line() -> None:
    assert str(failure("x", "two\nlines")).endswith("FAIL  two lines")
