"""Scores of a folder of pictures on disk: written once, read back for the paper table."""

import csv
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jcdm.errors import DataError
from jcdm.evaluation.paper_table import PaperRow
from jcdm.evaluation.protocols.results import ProtocolResult
from jcdm.folders import write_folder
from jcdm.manifest import code_identity, package_versions

FORMAT, VERSION = "jcdm-scores", 1
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
}


def write_scores(
    out: Path, result: ProtocolResult, *, method: str, weights: Mapping[str, Any]
) -> Path:
    """Write scores.json and per_pair.csv into the new folder `out`; returns scores.json.

    weights: which network files computed them, by role. Infinite and NaN become strings.
    """
    content = {
        "format": FORMAT,
        "version": VERSION,
        "method": method,
        "protocol": result.protocol,
        "size": list(result.size),
        "num_pairs": len(result.lists["pairs"]),
        "scores": _plain(result.aggregates),
        "reported": _plain(result.reported),
        "dropped": result.dropped,
        "lists": result.lists,
        "notes": list(result.notes),
        "weights": dict(weights),
        "code": code_identity(Path(__file__).parent),
        "versions": package_versions(),
    }

    def fill(folder: Path) -> None:
        text = json.dumps(content, indent=1, allow_nan=False)
        (folder / SCORES).write_text(text + "\n", encoding="utf-8")
        _write_pairs(folder / PER_PAIR, result)

    write_folder(out, fill)
    return out / SCORES


def read_row(folder: Path) -> PaperRow:
    """Read a folder's scores as a row of the paper table. Errors: DataError."""
    file = folder / SCORES
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        known = content["format"] == FORMAT and content["version"] == VERSION
        scores = {NAMES[n]: float(v) for n, v in content["scores"].items() if n in NAMES}
        row = PaperRow(
            method=str(content["method"]),
            scores=scores,
            code=str(content["protocol"]["name"]),
            source=f"{int(content['num_pairs']):,} pairs",
            note=_without(scores),
            is_ours=True,
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{file} holds no scores: {' '.join(str(error).split())}. Expected a folder that "
            "`python -m jcdm evaluate images --out` wrote."
        ) from None
    if not known:
        raise DataError(f"{file} has not format {FORMAT!r} version {VERSION}; evaluate again.")
    return row


def _without(scores: Mapping[str, float]) -> str:
    """Name the networks' scores that a row lacks."""
    lacking = [name for name in ("LPIPS", "FID", "KID") if name not in scores]
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
