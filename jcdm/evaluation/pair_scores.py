"""What a score of a pair of pictures is: a batch of pairs in, named values out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class PairBatch:
    """Pairs as a protocol read them.

    generated, truth (N,H,W,3) float32, nominal range [0,1] (one resize may leave it). poses
    (N,18,3) float32: joints of the TRUE pictures, x and y in [0,1] of the picture, and confidence,
    0 where a joint is not known.
    """

    generated: np.ndarray
    truth: np.ndarray
    poses: np.ndarray


class PairScorer(Protocol):
    """Scores pairs. names: of its values."""

    names: tuple[str, ...]

    @property
    def identity(self) -> str:
        """Name what the values depend on, weights included."""

    def score(self, batch: PairBatch) -> Mapping[str, np.ndarray]:
        """Score every pair: name -> (N,) float64; NaN where a pair has no such region or pose."""
        ...
