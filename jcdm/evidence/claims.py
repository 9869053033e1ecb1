"""What the rows say about the method's claims: each as one line with its figure and its bar."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from jcdm.evaluation.score_sequence import WITH, WITHOUT
from jcdm.evidence.baselines import COPY, MEAN, VAE
from jcdm.evidence.prior_scores import CLOSED, PREDICTED
from jcdm.evidence.row_files import RowFile
from jcdm.evidence.tally import Estimate

TASKS = ("references_2", "references_3")
BOTH = "mean of references_2 and _3"
FEWEST, MOST = "references_1", "references_3"
UNSEEN = ("front_to_back", "front_to_back_apart")
APM, ORACLE, MEAN_TOLD = "the prior's prediction", "true embedding", "mean of the references"
PERCEPTUAL, COLOUR, INSIDE = "perceptual (tiny)", "colour error", "PSNR inside"
SAMPLER, FEW, MANY = "UniPC", 12, 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A claim with the figure found, the bar it had to pass, and whether it did."""

    text: str
    found: str
    bar: str
    holds: bool


Rows = Mapping[str, RowFile]


def check_claims(rows: Rows) -> list[Claim]:
    """Check every claim whose rows are finished, on the weights that come with the project."""
    found: list[Claim] = []
    for needed, check in _CHECKS:
        if all(name in rows for name in needed):
            found += check(*(rows[name] for name in needed))
    return found


def claims_table(claims: list[Claim]) -> str:
    """Write claims as a Markdown table."""
    lines = [
        f"| {c.text} | {c.found} | {c.bar} | {'holds' if c.holds else '**missed**'} |"
        for c in claims
    ]
    return "\n".join(["| Claim | Found | Bar | |", "|---|---|---|---|", *lines])


def _mean(row: RowFile, score: str, tasks: tuple[str, ...] = TASKS, variant: str = "") -> float:
    """Mean of a score over tasks and seeds."""
    found = [r.scores[score].mean for task in tasks for r in row.find(variant, task)]
    assert found, f"row {row.name} has no {score} of {variant!r}"
    return float(np.mean(found))


def _views(shipped: RowFile, naive: RowFile, calibration: RowFile) -> Iterator[Claim]:
    """Compare painted views with what needs no model, 2 and 3 references."""
    inside = _mean(shipped, INSIDE)
    better = max(_mean(naive, INSIDE, variant=v) for v in (COPY, MEAN))
    yield Claim(
        text=f"PSNR inside the silhouette, above the better of copy and mean image, {BOTH}",
        found=f"{inside:.1f} dB, {inside - better:+.1f}",
        bar="at least +4.0 dB",
        holds=inside - better >= 4,
    )
    overlap = _mean(shipped, "silhouette overlap")
    yield Claim(
        text=f"silhouette overlap, {BOTH}",
        found=f"{overlap:.3f}",
        bar="at least 0.92",
        holds=overlap >= 0.92,
    )
    ours = _mean(shipped, PERCEPTUAL)
    copy = _mean(naive, PERCEPTUAL, variant=COPY)
    yield _at_most(f"perceptual distance, beside copying, {BOTH}", ours, copy, 0.5)
    colour = _mean(shipped, COLOUR)
    best = _mean(calibration, COLOUR, TASKS[:1], VAE)
    yield _at_most(f"colour error, beside the VAE's reconstruction, {BOTH}", colour, best, 2)
    mean = _mean(naive, COLOUR, variant=MEAN)
    yield _at_most(f"colour error, beside the mean image, {BOTH}", colour, mean, 1 / 3)


def _references(shipped: RowFile) -> Iterator[Claim]:
    """Compare 3 references with 1 on sides that the first does not show."""
    for name, lower in ((PERCEPTUAL, True), (COLOUR, True), ("print likeness", False)):
        few, many = (shipped.find("", task)[0].scores[name] for task in (FEWEST, MOST))
        yield Claim(
            text=f"3 references better than 1: {name}",
            found=f"{_interval(many)} against {_interval(few)}",
            bar="intervals apart",
            holds=many.high < few.low if lower else many.low > few.high,
        )


def _prior(prior: RowFile) -> Iterator[Claim]:
    """Check that the prior comes nearer to the truth than the mean of the references."""
    for task in (FEWEST, *TASKS):
        closed = _mean(prior, CLOSED, (task,), PREDICTED)
        yield Claim(
            text=f"the prior closes the gap from the references' mean to the truth, {task}",
            found=f"{closed:.0%}",
            bar="at least 33 %",
            holds=closed >= 1 / 3,
        )


def _told(conditioning: RowFile) -> Iterator[Claim]:
    """Compare painting told the prior's prediction, the references' mean and the truth."""
    tasks = tuple(dict.fromkeys(r.task for r in conditioning.results))
    apm, mean, true = (_mean(conditioning, PERCEPTUAL, tasks, v) for v in (APM, MEAN_TOLD, ORACLE))
    text, where = "perceptual distance with the prior, beside", ", ".join(tasks)
    yield _at_most(f"{text} the references' mean, {where}", apm, mean, 1)
    yield _at_most(f"{text} the truth, {where}", apm, true, 1.1)


def _together(apart: RowFile) -> Iterator[Claim]:
    """Compare how far views of a side that no reference shows disagree, in one grid and apart."""
    one, each = (apart.find("", task)[0].scores["disagreement"] for task in UNSEEN)
    yield Claim(
        text="views of a side that no reference shows disagree less, painted together, "
        + UNSEEN[0],
        found=f"{_interval(one)} against {_interval(each)}",
        bar="intervals apart",
        holds=one.high < each.low,
    )


def _steps(steps: RowFile) -> Iterator[Claim]:
    few, many = (_mean(steps, PERCEPTUAL, TASKS[:1], f"{SAMPLER} {n}") for n in (FEW, MANY))
    text = f"perceptual distance with {FEW} steps, beside {MANY}, {TASKS[0]}"
    yield _at_most(text, few, many, 1.02)


def _motion(motion: RowFile) -> Iterator[Claim]:
    """Compare sequences with and without the motion modules."""
    tasks = ("sequence",)
    moving, still = (_mean(motion, "flicker", tasks, v) for v in (WITH, WITHOUT))
    text = f"size of flicker with the motion modules, {moving:+.3g}, beside without, {still:+.3g}"
    yield _at_most(text, abs(moving), abs(still), 0.7)
    ours, other = (_mean(motion, "error", tasks, v) for v in (WITH, WITHOUT))
    text = "distance from the truth with the motion modules, beside without"
    yield _at_most(text, ours, other, 1)


def _at_most(text: str, ours: float, other: float, share: float) -> Claim:
    """Make the claim that a figure is at most a share of another."""
    return Claim(
        text=text,
        found=f"{ours:.3g} = {ours / other:.2f} x {other:.3g}",
        bar=f"at most {share:.2f} x",
        holds=ours <= share * other,
    )


def _interval(estimate: Estimate) -> str:
    return f"{estimate.mean:.3g} ({estimate.low:.3g} to {estimate.high:.3g})"


_CHECKS: tuple[tuple[tuple[str, ...], Callable[..., Iterator[Claim]]], ...] = (
    (("shipped", "naive", "calibration"), _views),
    (("shipped",), _references),
    (("shipped_prior",), _prior),
    (("shipped_conditioning",), _told),
    (("shipped_apart_unseen",), _together),
    (("steps",), _steps),
    (("shipped_motion",), _motion),
)
