"""Distances between sets equal their formulas, computed another way."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from jcdm.errors import DataError
from jcdm.evaluation.protocols import frechet
from jcdm.evaluation.protocols.frechet import FeatureSet, exact_fid, kid, square_root_fid


def features(seed: int, num: int, shift: float = 0.0, width: int = 12) -> FeatureSet:
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(9).standard_normal((width, width))
    drawn = rng.standard_normal((num, width)) @ mixing + shift
    return FeatureSet(drawn.astype(np.float32))


def by_formula(a: FeatureSet, b: FeatureSet) -> float:
    """Heusel et al. (2017), the root of a symmetric form of the product."""
    x, y = a.features.astype(np.float64), b.features.astype(np.float64)
    first, second = np.cov(x.T), np.cov(y.T)
    half = np.real(sqrtm(first + 1e-13 * np.eye(len(first))))
    cross = np.trace(np.real(sqrtm(half @ second @ half)))
    gap = x.mean(0) - y.mean(0)
    return float(gap @ gap + np.trace(first) + np.trace(second) - 2 * cross)


@pytest.mark.parametrize("counts", [(40, 50), (200, 13)])
def test_both_roots_equal_the_formula(counts: tuple[int, int]) -> None:
    a, b = features(0, counts[0]), features(1, counts[1], shift=0.4)
    expected = by_formula(a, b)
    assert exact_fid(a, b) == pytest.approx(expected, rel=1e-5)
    found = square_root_fid(a, b)
    assert found.finite and found.fid == pytest.approx(expected, rel=1e-5)


def test_more_pictures_than_features_and_fewer_agree() -> None:
    many, few = features(0, 500), features(1, 5, shift=1.0)
    assert many.factor.shape == (12, 12) and few.factor.shape == (5, 12)
    for found in (many, few):
        np.testing.assert_allclose(found.factor.T @ found.factor, found.covariance, atol=1e-9)


@pytest.mark.parametrize("num", [5, 60])
def test_a_set_is_at_distance_0_from_itself(num: int) -> None:
    found = features(0, num, width=24)
    assert exact_fid(found, found) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("num", [50, 9])
def test_statistics_in_blocks_are_those_of_the_whole(
    num: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, other = features(0, num), features(1, num, shift=0.3)
    expected = (whole.covariance, exact_fid(whole, other), square_root_fid(whole, other).fid)
    monkeypatch.setattr(frechet, "_BLOCK", 7)
    blocks = FeatureSet(whole.features)
    np.testing.assert_allclose(blocks.covariance, expected[0], rtol=1e-12)
    np.testing.assert_allclose(blocks.factor.T @ blocks.factor, expected[0], atol=1e-12)
    again = FeatureSet(other.features)
    assert exact_fid(blocks, again) == pytest.approx(expected[1], rel=1e-10)
    assert square_root_fid(blocks, again).fid == pytest.approx(expected[2], rel=1e-6)


def test_means_have_the_type_asked_for() -> None:
    drawn = features(0, 30).features
    narrow, wide = FeatureSet(drawn, "float32"), FeatureSet(drawn, "float64")
    assert (narrow.mean.dtype, wide.mean.dtype) == (np.float32, np.float64)
    assert narrow.covariance.dtype == np.float64
    assert not np.array_equal(narrow.mean, wide.mean)


def test_kid_equals_the_double_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = features(0, 9), features(1, 7, shift=0.5)
    x, y = a.features.astype(np.float64), b.features.astype(np.float64)

    def kernel(u: np.ndarray, v: np.ndarray) -> float:
        return float((u @ v / 12 + 1) ** 3)

    def within(z: np.ndarray) -> float:
        n = len(z)
        pairs = [kernel(z[i], z[j]) for i in range(n) for j in range(n) if i != j]
        return sum(pairs) / (n * (n - 1))

    across = np.mean([kernel(u, v) for u in x for v in y])
    expected = within(x) + within(y) - 2 * across
    assert kid(a, b) == pytest.approx(expected, rel=1e-9)
    monkeypatch.setattr(frechet, "_BLOCK", 4)
    assert kid(a, b) == pytest.approx(expected, rel=1e-9)


def test_one_picture_is_refused() -> None:
    with pytest.raises(DataError, match="at least two pictures"):
        features(0, 1)
