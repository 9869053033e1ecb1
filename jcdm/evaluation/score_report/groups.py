"""Groups of scored pairs: their values, means and how sure the means are."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import numpy as np

from jcdm.evaluation.bootstrap import bootstrap_intervals
from jcdm.evaluation.score_report.items import ReportItem

Key = TypeVar("Key", int, str)

MAX_BINS = 8
MIN_BIN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupMean:
    """Mean of a group's finite values and its 95 % bootstrap interval; count of values."""

    mean: float
    low: float
    high: float
    count: int


def finite_values(items: Sequence[ReportItem], score: str) -> np.ndarray:
    """Values of a score that are finite, in the items' order."""
    return np.array([item.pair.values[score] for item in items if item.pair.is_scored(score)])


def group_items(
    items: Sequence[ReportItem], key: Callable[[ReportItem], Key | None]
) -> dict[Key, list[ReportItem]]:
    """Group items by a key, in the keys' order; items whose key is None are left out."""
    groups: dict[Key, list[ReportItem]] = {}
    for item in items:
        found = key(item)
        if found is not None:
            groups.setdefault(found, []).append(item)
    return {found: groups[found] for found in sorted(groups)}


def pose_bins(items: Sequence[ReportItem]) -> list[list[ReportItem]]:
    """Split items with a pose distance into bins of equal counts, from near to far.

    At most eight bins, of ten items or more; empty where there are not even two such bins.
    """
    known = [item for item in items if item.pose_distance is not None]
    num_bins = min(MAX_BINS, len(known) // MIN_BIN)
    if num_bins < 2:
        return []
    known.sort(key=lambda item: (item.pose_distance, item.pair.generated))
    edges = np.linspace(0, len(known), num_bins + 1).round().astype(int)
    return [known[start:end] for start, end in pairwise(edges)]


def group_mean(values: np.ndarray) -> GroupMean:
    """Mean of (n,) finite values, n >= 1, and its interval; of a single value it is that value."""
    mean = float(values.mean())
    low, high = bootstrap_intervals({"mean": values}).get("mean", (mean, mean))
    return GroupMean(mean=mean, low=low, high=high, count=len(values))


def score_means(
    groups: Mapping[str, Sequence[ReportItem]], scores: Sequence[str]
) -> dict[str, dict[str, GroupMean]]:
    """Means of every score in every group that has finite values of it: score -> group -> mean."""
    return {
        score: {
            name: group_mean(values)
            for name, items in groups.items()
            if len(values := finite_values(items, score))
        }
        for score in scores
    }
