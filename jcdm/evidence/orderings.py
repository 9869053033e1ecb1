"""Whether what was found on one set of people is found on another: same signs of differences?"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from jcdm.evidence.row_files import RowFile
from jcdm.evidence.tally import Estimate

Rows = Mapping[str, RowFile]
Entry = tuple[str, str]
"""A row's name and one of its variants."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordering:
    """Pairs of entries that a score tells apart on our people, and those reversed on others."""

    score: str
    num_pairs: int
    reversed_pairs: tuple[str, ...]

    def __str__(self) -> str:
        kept = self.num_pairs - len(self.reversed_pairs)
        rest = f"; reversed: {', '.join(self.reversed_pairs)}" if self.reversed_pairs else ""
        return f"{self.score}: {kept} of {self.num_pairs} pairs keep their order{rest}"


def compare_orders(ours: Rows, others: Rows, score: str) -> Ordering:
    """Compare all entries of equal tasks, two by two, where our intervals do not overlap."""
    count, turned = 0, []
    for task, entries in _by_task(ours, score).items():
        known = _by_task(others, score).get(task, {})
        for (one, first), (other, second) in combinations(entries.items(), 2):
            if not {one, other} <= known.keys() or not _apart(first, second):
                continue
            count += 1
            if (first.mean < second.mean) != (known[one].mean < known[other].mean):
                turned.append(f"{_label(one)} and {_label(other)} in {task}")
    return Ordering(score=score, num_pairs=count, reversed_pairs=tuple(turned))


def _by_task(rows: Rows, score: str) -> dict[str, dict[Entry, Estimate]]:
    found: dict[str, dict[Entry, Estimate]] = {}
    for row in rows.values():
        for variant, task in dict.fromkeys((r.variant, r.task) for r in row.results):
            estimates = [r.scores[score] for r in row.find(variant, task) if score in r.scores]
            if estimates:
                found.setdefault(task, {})[row.name, variant] = join_seeds(estimates)
    return found


def join_seeds(estimates: list[Estimate]) -> Estimate:
    """Mean of the seeds, and the widest bounds that any of them has."""
    return Estimate(
        mean=float(np.mean([e.mean for e in estimates])),
        low=min(e.low for e in estimates),
        high=max(e.high for e in estimates),
        num_values=sum(e.num_values for e in estimates),
    )


def _apart(one: Estimate, other: Estimate) -> bool:
    return one.high < other.low or other.high < one.low


def _label(entry: Entry) -> str:
    return " ".join(part for part in entry if part)


def describe_orders(ours: Rows, others: Rows, scores: tuple[str, ...]) -> Iterator[str]:
    """Say how many of the orders found on our people are found on others too, a score a line.

    Scores by which nothing is told apart, of what was tried on both, have none.
    """
    orderings = (compare_orders(ours, others, score) for score in scores)
    yield from (str(ordering) for ordering in orderings if ordering.num_pairs)
