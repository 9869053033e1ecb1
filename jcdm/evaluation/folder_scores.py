"""Scores of a folder of pictures on disk: written once, read back for the paper table."""

import csv
import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jcdm.data.tasks import LOOK_ALIKE
from jcdm.errors import DataError
from jcdm.evaluation.paper_table import PaperRow
from jcdm.evaluation.protocols.results import ProtocolResult
from jcdm.evaluation.scored_method import ScoredMethod
from jcdm.folders import write_folder
from jcdm.reading import read_json, short_reason

FORMAT, VERSION = "jcdm-scores", 2
SCORES, PER_PAIR = "scores.json", "per_pair.csv"
NAMES = {  # of both SSIMs, since papers print either without saying which
    "ssim": "SSIM-51",
    "ssim_256": "SSIM-256",
    "psnr": "PSNR",
    "lpips": "LPIPS",
    "fid": "FID",
    "kid": "KID",
    "mae": "MAE",
    "l1": "L1",
    "ssim_masked": "mask-SSIM-51",
    "ssim_256_masked": "mask-SSIM-256",
    "psnr_masked": "mask-PSNR",
    "lpips_masked": "mask-LPIPS",
    "ssim_face": "face SSIM",
    "lpips_face": "face LPIPS",
    "ssim_garment": "garment SSIM",
    "colour_garment": "garment ΔE",
    "clip_i": "CLIP-I",
    "pckh": "PCKh",
    "oks": "OKS",
    "view_agreement": "view agreement",
    "view_agreement_gap": "view agreement gap",
    "garment_colour_spread": "garment ΔE between views",
}
_BEST = re.compile(r"(\w+?)_best_of_(\d+)")


def write_scores(
    out: Path, scored: ScoredMethod, where: Mapping[str, Any], *, method: str, **facts: Any
) -> Path:
    """Write scores.json and per_pair.csv into the new folder `out`; returns scores.json.

    where: the `origin` of the scores; facts: more about it, such as folders. Infinite and NaN
    become strings.
    """
    result = scored.result
    content = {
        "format": FORMAT,
        "version": VERSION,
        "method": method,
        "protocol": result.protocol,
        "size": list(result.size),
        "num_pairs": len(result.lists["pairs"]),
        "seeds": list(scored.seeds),
        "best_of": scored.best_of,
        "scores": _plain(result.aggregates),
        "counts": dict(result.counts),
        "intervals": {name: list(ends) for name, ends in scored.intervals.items()},
        "spread": _plain(scored.spread),
        "rows": {label: _plain(row) for label, row in scored.rows.items()},
        "reported": _plain(result.reported),
        "dropped": result.dropped,
        "skipped": [{"file": file, "reason": why} for file, why in result.skipped.items()],
        "lists": result.lists,
        "notes": list(result.notes),
        **facts,
        **where,
    }

    def fill(folder: Path) -> None:
        text = json.dumps(content, indent=1, allow_nan=False)
        (folder / SCORES).write_text(text + "\n", encoding="utf-8")
        _write_pairs(folder / PER_PAIR, result)

    write_folder(out, fill)
    return out / SCORES


def pairs_identity(pairs: Sequence[str]) -> dict[str, Any]:
    """Identify a list of pairs by the names of their files."""
    names = "\n".join(pairs)
    return {"num_pairs": len(pairs), "names_sha256": hashlib.sha256(names.encode()).hexdigest()}


def read_rows(folder: Path) -> list[PaperRow]:
    """Read a folder's reference rows and then its own as rows of the paper table.

    Errors: DataError.
    """
    file = folder / SCORES
    try:
        content = read_json(file)
        known = content["format"] == FORMAT and content["version"] == VERSION
        rows = [_row(content, label, scores) for label, scores in content["rows"].items()]
        rows.append(_row(content, content["method"], content["scores"], is_method=True))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{file} holds no scores: {short_reason(error)}. Expected a folder that "
            "`python -m jcdm evaluate images --out` wrote."
        ) from None
    if not known:
        raise DataError(f"{file} has not format {FORMAT!r} version {VERSION}; evaluate again.")
    return rows


def _row(
    content: Mapping[str, Any], label: str, scores: Mapping[str, Any], *, is_method: bool = False
) -> PaperRow:
    """Make one row of scores; the method's own has intervals and remarks."""
    look_alike = "look-alike " if content.get("task_kind") == LOOK_ALIKE else ""
    columns = _columns(scores)
    remarks = (_over_seeds(content), _without(columns)) if is_method else ()
    intervals = content["intervals"] if is_method else {}
    return PaperRow(
        method=str(label),
        scores=columns,
        code=str(content["protocol"]["name"]),
        source=f"{int(content['num_pairs']):,} {look_alike}pairs",
        note=", ".join(remark for remark in remarks if remark),
        is_ours=is_method,
        intervals={
            title: (float(low), float(high))
            for name, (low, high) in intervals.items()
            if (title := heading(name))
        },
    )


def heading(name: str) -> str | None:
    """Head a score's column; None for one that has none, such as a variance."""
    best = _BEST.fullmatch(name)
    column = NAMES.get(best[1] if best else name)
    return f"{column} (best of {best[2]})" if column and best else column


def _columns(scores: Mapping[str, Any]) -> dict[str, float]:
    """Scores under the headings of their columns."""
    return {title: float(value) for name, value in scores.items() if (title := heading(name))}


def _over_seeds(content: Mapping[str, Any]) -> str:
    """Say over how many seeds a row is a mean, or that it is a choice among them."""
    count = len(content["seeds"])
    if content["best_of"]:
        return f"keeps the best of {content['best_of']} by SSIM against the truth: an oracle"
    return f"mean of {count} seeds" if count > 1 else ""


def _without(scores: Mapping[str, float]) -> str:
    """Name the networks' scores that a row lacks."""
    lacking = [
        name
        for name in ("LPIPS", "FID", "KID")
        if not any(column.split(" (")[0] == name for column in scores)
    ]
    return f"without {', '.join(lacking)}" if lacking else ""


def _write_pairs(path: Path, result: ProtocolResult) -> None:
    names = list(result.per_pair)
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["generated", "truth", *names])
        for number, pair in enumerate(result.lists["pairs"]):
            values = (result.per_pair[name][number : number + 1] for name in names)
            generated, truth = pair.split(" ", 1)
            table.writerow([generated, truth, *(f"{v[0]:.8g}" if len(v) else "" for v in values)])


def _plain(scores: Mapping[str, float]) -> dict[str, float | str]:
    return {name: value if math.isfinite(value) else str(value) for name, value in scores.items()}
