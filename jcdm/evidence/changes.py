"""What a change does: differences between rows, paired by person."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from jcdm.errors import DataError
from jcdm.evidence.directions import heading
from jcdm.evidence.plan import EvidencePlan
from jcdm.evidence.row_files import RowFile
from jcdm.evidence.tally import Estimate, estimate

PAIRED = (
    "perceptual (tiny)",
    "colour error",
    "PSNR inside",
    "silhouette overlap",
    "embedding cosine",
    "disagreement",
    "error",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """How much higher a score is with a change, and in how many of the seeds its sign is that."""

    estimate: Estimate
    num_seeds: int
    num_agreeing: int

    def __bool__(self) -> bool:
        """Whether anything differs, if only for one person."""
        return (self.estimate.low, self.estimate.high) != (0, 0)

    @property
    def is_told_apart(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.estimate.low > 0 or self.estimate.high < 0

    @property
    def sign(self) -> float:
        """1 where the score is higher with the change, -1 where it is lower."""
        return float(np.sign(self.estimate.mean))

    def __str__(self) -> str:
        found, low, high = (
            f"{value:+.3g}" for value in (self.estimate.mean, self.estimate.low, self.estimate.high)
        )
        apart = "**" if self.is_told_apart else ""
        seeds = f", {self.num_agreeing} of {self.num_seeds} seeds" if self.num_seeds > 1 else ""
        return f"{apart}{found}{apart} ({low} to {high}){seeds}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A row and one of its variants; with `task` this one alone, beside another one too."""

    row: RowFile
    variant: str
    task: str | None = None

    def __str__(self) -> str:
        return ", ".join(part for part in (f"`{self.row.name}`", self.variant, self.task) if part)

    def values(self, name: str) -> dict[tuple[str, int | None], np.ndarray]:
        """Means by person of a score, by task and seed."""
        found = [r for r in self.row.results if r.variant == self.variant and name in r.people]
        if self.task is None:
            return {(r.task, r.seed): np.array(r.people[name]) for r in found}
        return {("", r.seed): np.array(r.people[name]) for r in found if r.task == self.task}


Changes = Mapping[tuple[str, str], Mapping[str, Gap]]
"""Gaps by score, of what is changed and what it is beside."""


def find_changes(plan: EvidencePlan, rows: Mapping[str, RowFile]) -> Changes:
    """Make every comparison that the plan asks for and whose rows are there, whole or in part.

    What a change does not touch, so that both sides are equal, is left out.
    """
    found = {(str(ours), str(theirs)): compare(ours, theirs) for ours, theirs in _pairs(plan, rows)}
    return {sides: gaps for sides, gaps in found.items() if any(gaps.values())}


def changes_table(changes: Changes) -> str:
    """Write changes as lines of a Markdown table."""
    heads = " | ".join(map(heading, PAIRED))
    lines = [f"| Change | beside | {heads} |", f"|---|---|{'---|' * len(PAIRED)}"]
    for (ours, theirs), gaps in changes.items():
        cells = " | ".join(str(gaps.get(name, "")) for name in PAIRED)
        lines.append(f"| {ours} | {theirs} | {cells} |")
    return "\n".join(lines)


def describe_kept(ours: Changes, others: Changes) -> str:
    """Say how many of the gaps that are told apart on our people have the same sign on others."""
    known = [
        (f"{name} of {sides[0]}", gap, others[sides][name])
        for sides, gaps in ours.items()
        for name, gap in gaps.items()
        if gap.is_told_apart and name in others.get(sides, {})
    ]
    turned = [label for label, gap, there in known if gap.sign != there.sign]
    too = sum(there.is_told_apart and gap.sign == there.sign for _, gap, there in known)
    rest = f"; turned: {', '.join(turned)}" if turned else ""
    return (
        f"changes: {len(known) - len(turned)} of {len(known)} keep their sign, {too} are told "
        f"apart there too{rest}"
    )


def _pairs(plan: EvidencePlan, rows: Mapping[str, RowFile]) -> Iterator[tuple[Side, Side]]:
    for name, row in plan.rows.items():
        if name not in rows:
            continue
        variants = list(dict.fromkeys(result.variant for result in rows[name].results))
        sides = [Side(row=rows[name], variant=variant) for variant in variants]
        if row.beside == name:
            yield from ((side, sides[0]) for side in sides[1:])
        elif row.beside is not None and row.beside in rows:
            yield from ((s, Side(row=rows[row.beside], variant=s.variant)) for s in sides)
        for side in sides:
            tasks = [replace(side, task=task) for task in row.compared]
            yield from ((task, tasks[0]) for task in tasks[1:])


def compare(ours: Side, theirs: Side) -> dict[str, Gap]:
    """Compare the mean over the tasks that both sides did, seed by seed, by score.

    The interval is over people, of the mean over seeds; it does not know how trainings vary.
    Errors: DataError where the two were tried on different people.
    """
    if ours.row.provenance.get("people") != theirs.row.provenance.get("people"):
        raise DataError(f"{ours} and {theirs} were tried on different people.")
    gaps = {}
    for name in PAIRED:
        one, other = ours.values(name), theirs.values(name)
        shared = one.keys() & other.keys()
        by_seed: dict[int | None, list[np.ndarray]] = {}
        for task, seed in sorted(shared, key=str):
            if one[task, seed].shape != other[task, seed].shape:
                raise DataError(f"{ours} and {theirs} have {name} of different people.")
            by_seed.setdefault(seed, []).append(one[task, seed] - other[task, seed])
        if by_seed:
            gaps[name] = _gap(np.stack([np.mean(tasks, axis=0) for tasks in by_seed.values()]))
    return gaps


def _gap(each: np.ndarray) -> Gap:
    """Summarise differences (seeds, people)."""
    whole = estimate(np.arange(each.shape[1]), each.mean(0))
    agreeing = int((np.sign(each.mean(1)) == np.sign(whole.mean)).sum())
    return Gap(estimate=whole, num_seeds=len(each), num_agreeing=agreeing)
