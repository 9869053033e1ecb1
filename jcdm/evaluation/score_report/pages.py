"""The sections of words and numbers: scores, pictures, the worst pairs, what was left out."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jcdm.evaluation.paper_table import PaperTable, build_tables, render_table
from jcdm.evaluation.report import Card, Cell, Figure, Fragment, Listing, Section
from jcdm.evaluation.score_report.explained import MEANINGS
from jcdm.evaluation.score_report.items import ReportItem
from jcdm.evaluation.score_report.pictures import (
    CARDS,
    NUM_WORST,
    PictureFolders,
    describe,
    draw_card,
    draw_sheets,
    worst_score,
)
from jcdm.evaluation.score_report.scored import ScoredFolder, column, heading
from jcdm.weights_identity import PAINTER


def summary_sentence(scored: ScoredFolder) -> str:
    """Say in one sentence what was scored, how, and with which weights."""
    height, width = scored.size
    parts = [
        f"protocol {scored.protocol['name']} at {height} x {width}",
        _count(len(scored.pairs), "pair"),
        f"{_count(len(scored.left_out), 'file')} left out",
    ]
    if scored.seeds:
        parts.append(f"seed{'s' * (len(scored.seeds) > 1)} {', '.join(map(str, scored.seeds))}")
    if "pipeline" in scored.origin:
        parts.append(f"painted by pipeline {scored.origin['pipeline']}")
    networks = [
        f"{role} {_network_name(file)}"
        for role, file in sorted(scored.weights.items())
        if file and role != PAINTER
    ]
    parts.append(f"scoring networks: {', '.join(networks) or 'none'}")
    parts += [scored.row.note] if scored.row.note else []
    return f"{scored.row.method}: {'; '.join(parts)}."


def _network_name(network: Any) -> str:
    """Name a network's file, whose identity or mere name is recorded."""
    return Path(network["path"]).name if isinstance(network, Mapping) else str(network)


def scores_section(scored: ScoredFolder, benchmark: str | None) -> Section:
    """Show the paper table, all scores in full, and every choice of the protocol."""
    known = bool(scored.intervals)
    height, width = scored.size
    intro = (
        f"Our row is bold: {_count(len(scored.pairs), 'pair')} at {height} x {width}; compare it "
        "with rows of the same list and size only."
    )
    if known:
        intro += " Below a score: the 95 % bootstrap interval of its mean, pairs resampled."
    choices = tuple((name, _words(value)) for name, value in scored.protocol.items())
    return Section(
        title="Scores",
        intro=intro,
        fragments=tuple(
            _rendered(table) for table in build_tables(benchmark, [*scored.references, scored.row])
        ),
        listings=(
            _all_scores(scored),
            Listing(
                title=f"Every choice of protocol {scored.protocol['name']}",
                columns=("choice", "value"),
                rows=choices,
                is_folded=True,
            ),
        ),
        notes=() if known else ("No intervals were recorded with these scores.",),
    )


def pictures_section(
    shown: Sequence[ReportItem], scored: ScoredFolder, folders: PictureFolders, out: Path
) -> Section:
    """Show pairs chosen by a fixed rule, see `choose_spread`."""
    caption = (
        "References, pose of the target, generated picture, truth; cells without picture are grey."
        if any(item.target is not None for item in shown)
        else "Generated picture and truth; without the index, references and poses are not known."
    )
    sheets = draw_sheets(shown, folders, scored.size, out)
    return Section(
        title="Pictures by a fixed rule",
        intro=f"{len(shown)} of {len(scored.pairs):,} pairs, evenly spread over the list sorted by "
        "name: not chosen by looks or by score.",
        notes=_seed_note(scored),
        figures=tuple(Figure(file=file, caption=caption) for file in sheets),
    )


def worst_section(
    worst: Sequence[ReportItem], scored: ScoredFolder, folders: PictureFolders, out: Path
) -> Section:
    """Show the pairs with the worst values of one score, see `choose_worst`: values and names."""
    score = worst_score(scored.main_scores)
    cards = [
        Card(
            file=draw_card(item, folders, scored.size, out / CARDS / f"{number:02d}.jpg"),
            title=f"{number}. {heading(score)} {item.pair.values[score]:.4f}",
            lines=describe(item, score),
        )
        for number, item in enumerate(worst, 1)
    ]
    order = "references, " if any(item.references for item in worst) else ""
    return Section(
        title=f"Worst {NUM_WORST} pairs",
        intro=f"The {len(worst)} of {len(scored.pairs):,} pairs with the worst {heading(score)}, "
        f"worst first; from left to right: {order}generated picture, truth.",
        cards=tuple(cards),
        notes=_seed_note(scored),
    )


def left_out_section(scored: ScoredFolder) -> Section:
    """List what was skipped or dropped, and the notes of scoring."""
    listing = Listing(
        title="Which files, and why",
        columns=("file", "reason"),
        rows=scored.left_out,
        is_folded=True,
    )
    intro = (
        f"{_count(len(scored.left_out), 'file')} left out of all or some scores."
        if scored.left_out
        else "No file was left out of any score."
    )
    return Section(
        title="Left out, and notes",
        intro=intro,
        listings=(listing,) if scored.left_out else (),
        notes=scored.notes,
    )


def _seed_note(scored: ScoredFolder) -> tuple[str, ...]:
    """Say that pictures show one seed where values are of several."""
    if len(scored.seeds) < 2:
        return ()
    return (f"Values are of {len(scored.seeds)} seeds together; the pictures show one of them.",)


def _rendered(table: PaperTable) -> Fragment:
    return Fragment(html=render_table(table, "html"), markdown=render_table(table, "md"))


def _all_scores(scored: ScoredFolder) -> Listing:
    """Write every aggregate with what is known of it."""
    return Listing(
        title="All scores in full",
        columns=("score", "value", "low", "high", "pairs", "std over seeds", "what it is"),
        rows=tuple(_score_rows(scored)),
    )


def _score_rows(scored: ScoredFolder) -> Iterator[tuple[Cell, ...]]:
    for name, value in scored.scores.items():
        low, high = scored.intervals.get(name, (None, None))
        yield (
            heading(name),
            *(_number(number) for number in (value, low, high)),
            scored.counts.get(name),
            _number(scored.spread.get(name)),
            MEANINGS.get(column(name), ""),
        )


def _number(value: float | None) -> Cell:
    """Keep a finite number; write infinite and NaN as words, since JSON has none."""
    return value if value is None or math.isfinite(value) else str(value)


def _count(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _words(value: object) -> str:
    """Write a choice as words."""
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    names = {True: "yes", False: "no"}
    return names[value] if isinstance(value, bool) else str(value)
