"""Values by person, their means, and how sure those are: bootstrap over people (Efron, 1979)."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from jcdm.seeding import generator

NUM_RESAMPLES = 2000
SHARE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A mean over `num_values` views and its 95 % interval; people are resampled, not views."""

    mean: float
    low: float
    high: float
    num_values: int


@dataclass(slots=True)
class Tally:
    """Values of each score with the person that they belong to; NaN values are left out."""

    values: dict[str, list[float]] = field(default_factory=dict)
    people: dict[str, list[int]] = field(default_factory=dict)

    def add(self, person: int, scores: Mapping[str, float]) -> None:
        """Add one view's scores."""
        for name, value in scores.items():
            if not np.isnan(value):
                self.values.setdefault(name, []).append(float(value))
                self.people.setdefault(name, []).append(person)

    def person_means(self, name: str) -> dict[int, float]:
        """Mean of a score by person."""
        people, values = np.array(self.people[name]), np.array(self.values[name])
        return {int(p): float(values[people == p].mean()) for p in np.unique(people)}

    def estimates(self) -> dict[str, Estimate]:
        """Estimate every score that has a finite value of at least one view."""
        return {
            name: estimate(np.array(self.people[name]), np.array(values))
            for name, values in self.values.items()
            if np.isfinite(values).all()
        }


def estimate(people: np.ndarray, values: np.ndarray) -> Estimate:
    """Mean of values (N,) and its interval over resampled people (N,)."""
    _, member = np.unique(people, return_inverse=True)
    sums, counts = np.bincount(member, values), np.bincount(member)
    draws = generator(len(counts), "bootstrap over people")
    chosen = draws.integers(len(counts), size=(NUM_RESAMPLES, len(counts)))
    means = sums[chosen].sum(1) / counts[chosen].sum(1)
    low, high = np.quantile(means, [(1 - SHARE) / 2, (1 + SHARE) / 2])
    return Estimate(
        mean=float(values.mean()), low=float(low), high=float(high), num_values=len(values)
    )
