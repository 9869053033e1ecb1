"""Claims hold or are missed by their figures alone; orders are compared where they were decided."""

from typing import Any

import pytest

from jcdm.evaluation.score_sequence import WITH, WITHOUT
from jcdm.evidence.baselines import COPY, MEAN, VAE
from jcdm.evidence.claims import APM, MEAN_TOLD, ORACLE, TASKS, UNSEEN, check_claims, claims_table
from jcdm.evidence.orderings import compare_orders, describe_orders
from jcdm.evidence.prior_scores import CLOSED, PREDICTED
from jcdm.evidence.row_files import Result, RowFile
from jcdm.evidence.tally import Estimate

PERCEPTUAL = "perceptual (tiny)"
PRIOR_TASKS = ("references_1", *TASKS)


def estimate(mean: float, width: float = 0.01) -> Estimate:
    return Estimate(mean=mean, low=mean - width, high=mean + width, num_values=9)


def row(name: str, *results: tuple[str, str, dict[str, float]], width: float = 0.01) -> RowFile:
    made = tuple(
        Result(seed=0, variant=v, task=t, scores={n: estimate(x, width) for n, x in s.items()})
        for v, t, s in results
    )
    return RowFile(name=name, about="", results=made, provenance={})


def view(perceptual: float = 0.2, colour: float = 5.0, inside: float = 15.0) -> dict[str, float]:
    return {
        "PSNR inside": inside,
        "silhouette overlap": 0.93,
        PERCEPTUAL: perceptual,
        "colour error": colour,
        "print likeness": 1 - perceptual,
    }


def told(apm: float, mean: float, truth: float) -> list[tuple[str, str, dict[str, float]]]:
    """Perceptual distance told the prior's prediction, the references' mean and the truth."""
    found = ((APM, apm), (MEAN_TOLD, mean), (ORACLE, truth))
    return [(variant, TASKS[0], view(x)) for variant, x in found]


def moving(flicker: float, error: float) -> list[tuple[str, str, dict[str, float]]]:
    """With motion modules as given, without them flicker 0.02 and error 0.12."""
    return [
        (WITH, "sequence", {"flicker": flicker, "error": error}),
        (WITHOUT, "sequence", {"flicker": 0.02, "error": 0.12}),
    ]


def good_rows() -> dict[str, RowFile]:
    """Rows on which every claim holds."""
    rows = [
        row("shipped", ("", "references_1", view(0.3, 8)), *(("", t, view()) for t in TASKS)),
        row(
            "naive",
            *((COPY, t, view(0.5, 25, 10)) for t in TASKS),
            *((MEAN, t, view(0.6, 30, 11)) for t in TASKS),
        ),
        row("calibration", (VAE, TASKS[0], view(0.05, 3, 23))),
        row("shipped_prior", *((PREDICTED, t, {CLOSED: 0.5}) for t in PRIOR_TASKS)),
        row(
            "shipped_conditioning",
            *told(0.2, 0.25, 0.19),
        ),
        row(
            "shipped_apart_unseen",
            *(("", t, {"disagreement": x}) for t, x in zip(UNSEEN, (6.0, 9.0), strict=True)),
        ),
        row("steps", ("UniPC 12", TASKS[0], view(0.2)), ("UniPC 30", TASKS[0], view(0.2))),
        row(
            "shipped_motion",
            *moving(flicker=-0.01, error=0.1),
        ),
    ]
    return {one.name: one for one in rows}


def test_claims_hold_on_good_rows() -> None:
    claims = check_claims(good_rows())
    assert [c.text for c in claims if not c.holds] == []
    assert len(claims) == 5 + 3 + 3 + 2 + 1 + 1 + 2
    assert claims_table(claims).count("holds") == len(claims)


@pytest.mark.parametrize(
    ("bad", "missed"),
    [
        (row("naive", *((v, t, view(0.5, 25, 12)) for t in TASKS for v in (COPY, MEAN))), "PSNR"),
        (
            row("naive", *((v, t, view(0.3, 25, 10)) for t in TASKS for v in (COPY, MEAN))),
            "copying",
        ),
        (
            row("naive", *((v, t, view(0.5, 10, 10)) for t in TASKS for v in (COPY, MEAN))),
            "mean im",
        ),
        (row("calibration", (VAE, TASKS[0], view(0.05, 2, 23))), "VAE"),
        (row("shipped_conditioning", *told(0.26, 0.25, 0.25)), "the references' mean"),
        (row("shipped_conditioning", *told(0.2, 0.25, 0.18)), "the truth"),
        (row("shipped_motion", *moving(flicker=-0.015, error=0.1)), "flicker"),
        (row("shipped_motion", *moving(flicker=-0.01, error=0.13)), "distance from the truth"),
        (row("shipped_prior", *((PREDICTED, t, {CLOSED: 0.3}) for t in PRIOR_TASKS)), "the prior"),
        (
            row("shipped_apart_unseen", *(("", t, {"disagreement": 9.0}) for t in UNSEEN)),
            "together",
        ),
        (row("steps", ("UniPC 12", TASKS[0], view(0.21)), ("UniPC 30", TASKS[0], view(0.2))), "12"),
    ],
)
def test_a_claim_is_missed_by_its_figure(bad: RowFile, missed: str) -> None:
    claims = check_claims({**good_rows(), bad.name: bad})
    lost = [c.text for c in claims if not c.holds]
    assert lost and all(missed in text for text in lost)
    assert "**missed**" in claims_table(claims)


def test_silhouettes_below_the_bar_are_missed() -> None:
    found = {**view(), "silhouette overlap": 0.91}
    few = ("", "references_1", view(0.3, 8))
    bad = row("shipped", few, *(("", t, found) for t in TASKS))
    lost = [c.text for c in check_claims({**good_rows(), "shipped": bad}) if not c.holds]
    assert len(lost) == 1 and "silhouette" in lost[0]


def test_references_must_be_told_apart() -> None:
    rows = good_rows()
    wide: Any = row(
        "shipped", ("", "references_1", view(0.3, 8)), *(("", t, view()) for t in TASKS), width=4.0
    )
    lost = [c.text for c in check_claims({"shipped": wide}) if not c.holds]
    assert len(lost) == 3 and all("3 references" in text for text in lost)
    assert check_claims({"steps": rows["steps"]})[0].holds


def test_orders_are_compared_where_they_were_decided() -> None:
    ours = {
        "a": row("a", ("", "t", {PERCEPTUAL: 0.2})),
        "b": row("b", ("x", "t", {PERCEPTUAL: 0.3}), ("y", "t", {PERCEPTUAL: 0.305})),
    }
    same = compare_orders(ours, ours, PERCEPTUAL)
    assert (same.num_pairs, same.reversed_pairs) == (2, ()), "x and y were not told apart"
    others = {**ours, "a": row("a", ("", "t", {PERCEPTUAL: 0.302}))}
    (line,) = describe_orders(ours, others, (PERCEPTUAL,))
    assert line == f"{PERCEPTUAL}: 1 of 2 pairs keep their order; reversed: a and b x in t"
