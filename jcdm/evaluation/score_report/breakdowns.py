"""Sections that break the scores down: histogram, number of references, garment, pose distance."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from jcdm.evaluation.plots import Band, plot_bands, plot_boxes, plot_histograms
from jcdm.evaluation.report import Cell, Figure, Listing, Section
from jcdm.evaluation.score_report.groups import (
    MIN_BIN,
    GroupMean,
    finite_values,
    group_items,
    pose_bins,
    score_means,
)
from jcdm.evaluation.score_report.items import ReportItem
from jcdm.evaluation.score_report.scored import heading, is_lower_better

PLOTS = "plots"
Groups = Mapping[str, Sequence[ReportItem]]
_BANDS = "Bands: 95 % bootstrap intervals of the means, pairs resampled."


def breakdowns(items: Sequence[ReportItem], scores: Sequence[str], out: Path) -> Iterator[Section]:
    """Draw the plots of the scores named into `out`/plots and return their sections."""
    yield histograms(items, scores, out)
    yield by_references(items, scores, out)
    yield by_category(items, scores, out)
    yield by_pose_distance(items, scores, out)


def histograms(items: Sequence[ReportItem], scores: Sequence[str], out: Path) -> Section:
    """Show how the values of single pairs are spread."""
    values = {score: finite_values(items, score) for score in scores}
    file = plot_histograms(
        {heading(score): found.tolist() for score, found in values.items()},
        out / PLOTS / "histograms.png",
    )
    infinite = {heading(score): len(items) - len(found) for score, found in values.items()}
    return Section(
        title="Spread of the scores",
        intro="How many pairs have which value; each pair counts once.",
        figures=(Figure(file=file, caption="Values of single pairs; the line is their mean."),),
        listings=(_quantiles(values),),
        notes=tuple(
            f"{count:,} pairs without a finite value of {name} are left out."
            for name, count in infinite.items()
            if count
        ),
    )


def by_references(items: Sequence[ReportItem], scores: Sequence[str], out: Path) -> Section:
    """Show the scores against the number of reference views, where it differs."""
    title = "Scores by number of references"
    found = group_items(items, lambda item: item.num_references)
    if len(found) < 2:
        return Section(title=title, intro=_same_references(list(found)))
    groups = {str(number): members for number, members in found.items()}
    means = score_means(groups, scores)
    file = plot_bands(
        {heading(s): _band([float(name) for name in m], m) for s, m in means.items()},
        out / PLOTS / "references.png",
        xlabel="number of references",
        ticks=list(found),
    )
    return Section(
        title=title,
        intro="Mean over the pairs whose target was painted from so many reference views.",
        figures=(Figure(file=file, caption=f"Mean score by number of references. {_BANDS}"),),
        listings=(_listing("number of references", groups, means),),
        notes=_unknown(items, found.values(), "a known number of references"),
    )


def by_category(items: Sequence[ReportItem], scores: Sequence[str], out: Path) -> Section:
    """Show the scores of each garment category, sorted by the first score, best first."""
    title = "Scores by garment category"
    found = group_items(items, lambda item: item.category)
    if not found:
        intro = "No plot: the names of the pictures tell no garment category, nor do tags."
        return Section(title=title, intro=intro)
    groups = _best_first(found, scores[0])
    file = plot_boxes(
        {
            heading(score): {
                f"{name} (n={len(members):,})": finite_values(members, score).tolist()
                for name, members in groups.items()
            }
            for score in scores
        },
        out / PLOTS / "categories.png",
        height=1.2 + 0.34 * len(groups),
    )
    caption = (
        f"Quartiles, and whiskers from 5 to 95 %, by category; n pairs; sorted by the median of "
        f"{heading(scores[0])}, best first."
    )
    return Section(
        title=title,
        intro="The category stands in the photograph's name: what is worn in the target view.",
        figures=(Figure(file=file, caption=caption),),
        listings=(_listing("category", groups, score_means(groups, scores)),),
        notes=_unknown(items, found.values(), "a known category"),
    )


def by_pose_distance(items: Sequence[ReportItem], scores: Sequence[str], out: Path) -> Section:
    """Show the scores against the distance from the nearest reference's pose to the target's."""
    title = "Scores by pose distance"
    bins = pose_bins(items)
    known = sum(len(members) for members in bins)
    if not known:
        intro = (
            f"No plot: fewer than {2 * MIN_BIN} pairs have a known pose distance. It needs the "
            "index with joints, and references: name them with --index and --task."
        )
        return Section(title=title, intro=intro)
    groups = {_range(members): members for members in bins}
    means = score_means(groups, scores)
    centres = {name: float(np.mean(_distances(members))) for name, members in groups.items()}
    file = plot_bands(
        {heading(s): _band([centres[name] for name in m], m) for s, m in means.items()},
        out / PLOTS / "pose_distance.png",
        xlabel="pose distance to the nearest reference",
    )
    return Section(
        title=title,
        intro="Pose distance: mean distance of the joints that two views have in common, in "
        "shares of the view, to the reference that is nearest to the target.",
        figures=(Figure(file=file, caption=f"Means of bins with equal counts. {_BANDS}"),),
        listings=(_listing("pose distance", groups, means),),
        notes=_unknown(items, bins, "a known pose distance"),
    )


def _same_references(found: Sequence[int]) -> str:
    if not found:
        return "No plot: how many references each target had is not known; name --task and --index."
    return f"No plot: every target with known references had {found[0]} of them."


def _best_first(groups: Groups, score: str) -> dict[str, Sequence[ReportItem]]:
    """Sort groups by the median of a score; those without a finite value come last."""
    sign = 1 if is_lower_better(score) else -1

    def rank(name: str) -> tuple[float, str]:
        values = finite_values(groups[name], score)
        return (sign * float(np.median(values)) if len(values) else np.inf, name)

    return {name: groups[name] for name in sorted(groups, key=rank)}


def _distances(items: Sequence[ReportItem]) -> list[float]:
    return [item.pose_distance for item in items if item.pose_distance is not None]


def _range(items: Sequence[ReportItem]) -> str:
    distances = _distances(items)
    return f"{distances[0]:.4f} to {distances[-1]:.4f}"


def _band(x: Sequence[float], means: Mapping[str, GroupMean]) -> Band:
    found = list(means.values())
    return Band(
        x=x,
        mean=[group.mean for group in found],
        low=[group.low for group in found],
        high=[group.high for group in found],
    )


def _listing(name: str, groups: Groups, means: Mapping[str, Mapping[str, GroupMean]]) -> Listing:
    """Write the numbers of a plot down."""
    rows = []
    for group, members in groups.items():
        cells: list[Cell] = [group, len(members)]
        for found in (of_score.get(group) for of_score in means.values()):
            cells += [found.mean, found.low, found.high] if found else [None] * 3
        rows.append(tuple(cells))
    columns = [name, "pairs"]
    for score in means:
        columns += [heading(score), "low", "high"]
    return Listing(
        title="The numbers of this plot: means and their 95 % intervals",
        columns=tuple(columns),
        rows=tuple(rows),
        is_folded=True,
    )


def _quantiles(values: Mapping[str, np.ndarray]) -> Listing:
    """Write down the deciles' ends, quartiles and extremes of every score."""
    levels = {"lowest": 0, "5 %": 5, "25 %": 25, "median": 50, "75 %": 75, "95 %": 95}
    levels |= {"highest": 100}
    rows = tuple(
        (heading(score), len(found), *np.percentile(found, list(levels.values())).tolist())
        for score, found in values.items()
    )
    return Listing(
        title="Percentiles of the pairs",
        columns=("score", "pairs", *levels),
        rows=rows,
        is_folded=True,
    )


def _unknown(
    items: Sequence[ReportItem], groups: Iterable[Sequence[ReportItem]], what: str
) -> tuple[str, ...]:
    lacking = len(items) - sum(len(members) for members in groups)
    return (f"{lacking:,} pairs without {what} are left out.",) if lacking else ()
