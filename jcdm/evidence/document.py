"""The tables of docs/evidence.md, made of the files of finished rows."""

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from jcdm.errors import DataError
from jcdm.evidence.changes import changes_table, describe_kept, find_changes
from jcdm.evidence.claims import check_claims, claims_table
from jcdm.evidence.directions import BETTER, heading
from jcdm.evidence.orderings import describe_orders, join_seeds
from jcdm.evidence.pictures import save_curves
from jcdm.evidence.plan import EvidencePlan
from jcdm.evidence.row_files import Result, RowFile, missing_seeds, read_row

COMPARED = ("perceptual (tiny)", "colour error", "PSNR inside")
_ORDER = ("truth", "VAE reconstruction")  # of the calibration: these above the other two


def write_tables(
    plan: EvidencePlan, results: Path, file: Path, *, others: Path | None = None
) -> str:
    """Put claims and the tables of all finished rows into `file`; returns what was done.

    others: folder of the rows of other people, whose order and changes are compared. Errors:
    DataError.
    """
    rows = _finished(plan, results)
    if "calibration" in rows:
        _check_calibration(rows["calibration"], results)
    content = file.read_text(encoding="utf-8") if file.is_file() else ""
    content = _between(content, "claims", claims_table(check_claims(rows)), file)
    changes = find_changes(plan, rows)
    content = _between(content, "changes", changes_table(changes), file)
    if others is not None:
        known = _finished(plan, others)
        lines = [*describe_orders(rows, known, COMPARED)]
        lines.append(describe_kept(changes, find_changes(plan, known)))
        content = _between(content, "orders", "\n".join(f"- {line}" for line in lines), file)
    text = "\n\n".join(_row_text(row, results, file) for row in rows.values())
    content = _between(content, "rows", text, file)
    file.write_text(content, encoding="utf-8")
    partly = [name for name, row in rows.items() if missing_seeds(row, plan.row(name))]
    missing = [name for name in plan.rows if name not in rows]
    states = {"in part": partly, "not finished": missing}
    rest = "".join(f"; {state}: {', '.join(names)}" for state, names in states.items() if names)
    return f"{len(rows)} rows written to {file}{rest}"


def _finished(plan: EvidencePlan, results: Path) -> dict[str, RowFile]:
    """Read the rows that are there, told about in the plan's words of today."""
    files = {name: results / f"{name}.json" for name in plan.rows}
    return {
        name: replace(read_row(file), about=plan.row(name).about)
        for name, file in files.items()
        if file.is_file()
    }


def _between(content: str, mark: str, text: str, file: Path) -> str:
    """Put text between <!-- mark --> and <!-- end mark -->. Errors: DataError."""
    start, end = f"<!-- {mark} -->", f"<!-- end {mark} -->"
    pattern = re.compile(f"({start}\n).*?({end})", re.DOTALL)
    changed, count = pattern.subn(lambda m: f"{m[1]}{text}\n{m[2]}", content)
    if count != 1:
        raise DataError(f"{file} has {count} places between {start} and {end}; expected one.")
    return changed


def _row_text(row: RowFile, results: Path, file: Path) -> str:
    """A row's table, its curves where it has some, and the sheets that were painted with it."""
    save_curves(row, results)
    names = dict.fromkeys(["curves", *(result.task for result in row.results)])
    files = (results / f"{row.name}_{name}.png" for name in names)
    found = sorted(file for file in files if file.is_file())
    links = [f"![{p.stem}]({os.path.relpath(p, file.parent)})" for p in found]
    return "\n\n".join([row_table(row), *links])


def row_table(row: RowFile) -> str:
    """Write a row as Markdown: a line a variant and task, seeds averaged."""
    names = [name for name in BETTER if any(name in r.scores for r in row.results)]
    heads = [heading(name) for name in names]
    lines = [
        f"**{row.name}**: {row.about}",
        "",
        f"| What | Task | Seeds | {' | '.join(heads)} |",
        f"|---|---|---|{'---|' * len(names)}",
    ]
    for variant, task in dict.fromkeys((r.variant, r.task) for r in row.results):
        found = row.find(variant, task)
        cells = [_cell(found, name) for name in names]
        label = variant or "as it is"
        lines.append(f"| {label} | {task} | {len(found)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _check_calibration(calibration: RowFile, results: Path) -> None:
    if unfit := misranked(calibration):
        raise DataError(
            f"{results / 'calibration.json'}: {', '.join(unfit)} should put the truth first, then "
            "the VAE's reconstruction, then wrong people and poses. Scores that do not are not to "
            "be used; find out why."
        )


def misranked(calibration: RowFile) -> list[str]:
    """Name the scores that do not rank the calibration as it should be: those are not used.

    The truth is best, the VAE's reconstruction better than another person in the same pose and than
    the right person in a wrong pose.
    """
    return [name for name in BETTER if _is_misranked(calibration, name)]


def _is_misranked(calibration: RowFile, name: str) -> bool:
    means: dict[str, float] = {}
    for result in calibration.results:
        if name in result.scores:
            means[result.variant] = result.scores[name].mean
    if not means:
        return False
    sign = 1.0 if BETTER[name] == "up" else -1.0
    truth = sign * means.pop(_ORDER[0], sign * np.inf)  # of a PSNR: infinite, so not estimated
    reconstruction = sign * means.pop(_ORDER[1])
    others = [sign * value for value in means.values()]
    return not truth >= reconstruction > max(others)


def _cell(found: Sequence[Result], name: str) -> str:
    estimates = [result.scores[name] for result in found if name in result.scores]
    if not estimates:
        return ""
    joined = join_seeds(estimates)
    return f"{joined.mean:.3g} ({joined.low:.3g} to {joined.high:.3g})"
