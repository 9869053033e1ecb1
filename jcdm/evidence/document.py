"""The tables of docs/evidence.md, made of the files of finished rows."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from jcdm.errors import DataError
from jcdm.evidence.pictures import save_curves
from jcdm.evidence.plan import EvidencePlan
from jcdm.evidence.row_files import Result, RowFile, read_row

BETTER: Mapping[str, str] = {
    "PSNR": "up",
    "PSNR inside": "up",
    "SSIM": "up",
    "silhouette overlap": "up",
    "colour error": "down",
    "print agreement": "up",
    "print likeness": "up",
    "joints found": "up",
    "perceptual (tiny)": "down",
    "embedding cosine": "up",
    "disagreement": "down",
    "gap closed": "up",
    "flicker": "zero",
    "change error": "down",
    "drift": "zero",
    "error": "down",
}
_ARROWS = {"up": "↑", "down": "↓", "zero": "→0"}
_ORDER = ("truth", "VAE reconstruction")  # of the calibration: these above the other two


def write_tables(plan: EvidencePlan, results: Path, file: Path) -> str:
    """Put the tables of all finished rows into `file`; returns what was done. Errors: DataError."""
    rows = [read_row(results / f"{name}.json") for name in plan.rows if _is_there(results, name)]
    text = "\n\n".join(_row_text(row, results, file) for row in rows)
    content = file.read_text(encoding="utf-8") if file.is_file() else ""
    pattern = re.compile(r"(<!-- rows -->\n).*?(<!-- end -->)", re.DOTALL)
    changed, count = pattern.subn(lambda m: f"{m[1]}{text}\n{m[2]}", content)
    if count != 1:
        raise DataError(
            f"{file} has {count} places between <!-- rows --> and <!-- end -->; expected one."
        )
    file.write_text(changed, encoding="utf-8")
    missing = [name for name in plan.rows if not _is_there(results, name)]
    rest = f"; not finished: {', '.join(missing)}" if missing else ""
    return f"{len(rows)} rows written to {file}{rest}"


def _row_text(row: RowFile, results: Path, file: Path) -> str:
    """A row's table, its curves where it has some, and the sheets that were painted with it."""
    save_curves(row, results)
    found = sorted(results.glob(f"{row.name}_*.png"))
    links = [f"![{p.stem}]({os.path.relpath(p, file.parent)})" for p in found]
    return "\n\n".join([row_table(row), *links])


def row_table(row: RowFile) -> str:
    """Write a row as Markdown: a line a variant and task, seeds averaged."""
    names = [name for name in BETTER if any(name in r.scores for r in row.results)]
    heads = [f"{name} {_ARROWS[BETTER[name]]}" for name in names]
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
    if not set(_ORDER) <= means.keys():
        return False
    sign = 1.0 if BETTER[name] == "up" else -1.0
    truth, reconstruction = (sign * means.pop(variant) for variant in _ORDER)
    others = [sign * value for value in means.values()]
    return not truth >= reconstruction > max(others)


def _cell(found: Sequence[Result], name: str) -> str:
    """Mean of the seeds, and the widest bounds that any of them has."""
    estimates = [result.scores[name] for result in found if name in result.scores]
    if not estimates:
        return ""
    mean = float(np.mean([e.mean for e in estimates]))
    low, high = min(e.low for e in estimates), max(e.high for e in estimates)
    return f"{mean:.3g} ({low:.3g} to {high:.3g})"


def _is_there(results: Path, name: str) -> bool:
    return (results / f"{name}.json").is_file()
