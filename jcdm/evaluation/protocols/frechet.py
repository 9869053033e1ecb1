"""Distances between two sets of pictures in a network's features: FID, and KID.

Sources: Heusel et al. (2017), FID; Binkowski et al. (2018), KID.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Literal

import numpy as np
from scipy.linalg import LinAlgWarning, qr, sqrtm, svdvals

from jcdm.errors import DataError

_BLOCK = 4096  # features held in float64 at once: 64 MB of 2048 numbers each


@dataclass(frozen=True)
class FeatureSet:
    """Features of a set of pictures and their statistics.

    features (N,D) float32, N >= 2; mean_dtype: of the mean; covariances are float64, over N - 1.
    Errors: DataError for fewer than two pictures.
    """

    features: np.ndarray
    mean_dtype: Literal["float32", "float64"] = "float64"

    def __post_init__(self) -> None:
        if self.features.ndim != 2 or len(self.features) < 2:
            raise DataError(
                f"features of shape {self.features.shape}: a distance between sets needs at least "
                "two pictures on each side. Add pictures."
            )

    @cached_property
    def mean(self) -> np.ndarray:
        """Mean feature (D,)."""
        return self.features.mean(axis=0, dtype=self.mean_dtype)

    @cached_property
    def covariance(self) -> np.ndarray:
        """Covariance (D,D), float64."""
        if len(self.features) <= _BLOCK:
            return np.cov(self.features.astype(np.float64), rowvar=False)
        width = self.features.shape[1]
        total = np.zeros((width, width))
        for rows in self._centred():
            total += rows.T @ rows
        return total / (len(self.features) - 1)

    @cached_property
    def factor(self) -> np.ndarray:
        """A matrix R (at most D rows) with covariance = R'R, found without rounding it first."""
        rows = np.zeros((0, self.features.shape[1]))
        for block in self._centred():
            rows = np.concatenate([rows, block])
            if len(rows) > rows.shape[1]:
                rows = qr(rows, mode="r", check_finite=False)[0][: rows.shape[1]]
        return rows / np.sqrt(len(self.features) - 1)

    def _centred(self) -> Iterator[np.ndarray]:
        """Features without their mean, float64, a block at a time: a whole copy would be large."""
        mean = self.features.mean(axis=0, dtype=np.float64)
        for start in range(0, len(self.features), _BLOCK):
            yield self.features[start : start + _BLOCK] - mean


@dataclass(frozen=True, slots=True, kw_only=True)
class SquareRoot:
    """The FID by SciPy's general matrix square root, and what that root looked like."""

    fid: float
    trace: float
    largest_imaginary: float
    finite: bool
    dtype: str


def mean_term(real: FeatureSet, generated: FeatureSet) -> float:
    """Squared distance of the two mean features."""
    gap = real.mean - generated.mean
    return float(gap.dot(gap))


def square_root_fid(real: FeatureSet, generated: FeatureSet) -> SquareRoot:
    """FID as the published scripts have it: the root of the product of both covariances.

    The product is rank deficient for few pictures, and the root's rounding noise then makes the
    value about 1e-3 smaller than `exact_fid`. A root that is not finite is taken again with 1e-6
    added to both diagonals.
    """
    first, second = real.covariance, generated.covariance
    root = _root(first @ second)
    finite = bool(np.isfinite(root).all())
    if not finite:
        offset = 1e-6 * np.eye(len(first))
        root = _root((first + offset) @ (second + offset))
    trace = float(np.trace(root).real)
    return SquareRoot(
        fid=mean_term(real, generated) + float(np.trace(first) + np.trace(second)) - 2 * trace,
        trace=trace,
        largest_imaginary=float(np.abs(root.imag).max()),
        finite=finite,
        dtype=str(root.dtype),
    )


def exact_fid(real: FeatureSet, generated: FeatureSet) -> float:
    """FID without a matrix square root: its trace is the sum of singular values of A B'.

    A, B: centred features over sqrt(n - 1), or any other factors of the covariances.
    """
    overlap = svdvals(real.factor @ generated.factor.T).sum()
    spread = np.square(real.factor).sum() + np.square(generated.factor).sum()
    return mean_term(real, generated) + float(spread - 2 * overlap)


def kid(real: FeatureSet, generated: FeatureSet) -> float:
    """Kernel inception distance: unbiased squared MMD of (x.y / D + 1)^3 over all pictures.

    No subsets are drawn, so the number has no randomness; it may be slightly below 0.
    """
    x, y = real.features, generated.features
    return _mean_within(x) + _mean_within(y) - 2 * _mean_between(x, y)


def _root(product: np.ndarray) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LinAlgWarning)  # few pictures: known to be singular
        return np.asarray(sqrtm(product))


def _mean_between(x: np.ndarray, y: np.ndarray) -> float:
    """Mean of the kernel over all pairs of two sets."""
    total = sum(_kernel_sum(a, b) for a in _float64_blocks(x) for b in _float64_blocks(y))
    return total / (len(x) * len(y))


def _mean_within(x: np.ndarray) -> float:
    """Mean of the kernel over all pairs of a set's pictures, each with itself left out."""
    total = 0.0
    for i, a in enumerate(_float64_blocks(x)):
        total -= float(((np.square(a).sum(axis=1) / x.shape[1] + 1) ** 3).sum())
        total += _kernel_sum(a, a)
        for b in islice(_float64_blocks(x), i):  # the kernel is symmetric
            total += 2 * _kernel_sum(a, b)
    return total / (len(x) * (len(x) - 1))


def _kernel_sum(x: np.ndarray, y: np.ndarray) -> float:
    kernel = x @ y.T
    kernel /= x.shape[1]
    kernel += 1
    return float(np.vdot(kernel * kernel, kernel))


def _float64_blocks(rows: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(rows), _BLOCK):
        yield rows[start : start + _BLOCK].astype(np.float64)
