"""Print scores: a line each, with its interval and spread."""

from collections.abc import Sequence
from pathlib import Path

from jcdm.evaluation.folder_scores import SCORES, heading
from jcdm.evaluation.scored_method import ScoredMethod


def print_scores(scored: ScoredMethod, out: Path, protocol: str) -> None:
    """Print every score of a method, then its reference rows' main ones, notes and the file."""
    result = scored.result
    for name, value in result.aggregates.items():
        line = f"{name:24} {value:12.6f}"
        if name in scored.intervals:
            low, high = scored.intervals[name]
            line += f"   [{low:.4f}, {high:.4f}]"
        if name in scored.spread:
            line += f"   ± {scored.spread[name]:.4f} over seeds"
        count = result.counts.get(name, len(result.lists["pairs"]))
        print(line + (f"   {count} pairs" if count < len(result.lists["pairs"]) else ""))
    for label, row in scored.rows.items():
        main = {heading(name): value for name, value in row.items() if heading(name)}
        print(f"{label}: " + ", ".join(f"{name} {value:.4f}" for name, value in main.items()))
    for note in _grouped(result.notes):
        print(f"note: {note}")
    for file, reason in list(result.skipped.items())[:10]:
        print(f"left out: {file}: {reason}")
    if len(result.skipped) > 10:
        print(f"left out: {len(result.skipped)} in all, see {out / SCORES}")
    print(f"{len(result.lists['pairs'])} pairs by protocol {protocol}: {out / SCORES}")


def _grouped(notes: Sequence[str]) -> list[str]:
    """Join notes of one reason: `a left out: why`, `b left out: why` -> `a, b left out: why`."""
    names: dict[str, list[str]] = {}
    for note in notes:
        name, _, reason = note.partition(" ")
        names.setdefault(reason, []).append(name)
    return [f"{', '.join(group)} {reason}" for reason, group in names.items()]
