"""Write the report of a scored folder: sections, plots and pictures, one offline page."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jcdm.data.index import index_identity
from jcdm.errors import DataError
from jcdm.evaluation.folder_scores import PER_PAIR, SCORES
from jcdm.evaluation.report import write_report
from jcdm.evaluation.score_report.breakdowns import breakdowns
from jcdm.evaluation.score_report.items import join_items
from jcdm.evaluation.score_report.pages import (
    left_out_section,
    pictures_section,
    scores_section,
    summary_sentence,
    worst_section,
)
from jcdm.evaluation.score_report.pictures import (
    choose_spread,
    choose_worst,
    find_folders,
    require_pictures,
    worst_score,
)
from jcdm.evaluation.score_report.scored import ScoredFolder, read_scored
from jcdm.manifest import code_identity, package_versions
from jcdm.reading import read_object

RUN_MANIFEST = "manifest.json"


def write_score_report(
    out: Path,
    scored: Path,
    *,
    generated: Path | None = None,
    truth: Path | None = None,
    task: Path | None = None,
    index: Path | None = None,
    benchmark: str | None = None,
) -> Path:
    """Write report.html, report.md and report.json about a scored folder; returns report.html.

    scored: folder with scores.json and per_pair.csv. generated, truth: folders of the pictures,
    None = those that were scored. task, index: add references, poses and, by them, two plots.
    benchmark: whose published rows stand beside ours. Only pictures that are shown are read.
    Errors: ConfigError for options, DataError for files; pictures that are missing are found before
    anything is written.
    """
    content = read_scored(scored)
    items = join_items(content, task, index)
    folders = find_folders(content, generated, truth)
    scores = content.main_scores
    if not scores:
        raise DataError(f"{scored / PER_PAIR} has no finite value. Score the pictures again.")
    shown, worst = choose_spread(items), choose_worst(items, worst_score(scores))
    require_pictures([*shown, *worst], folders)
    painting = _read_painting(folders.generated)
    sections = [
        scores_section(content, benchmark),
        *breakdowns(items, scores, out),
        pictures_section(shown, content, folders, out),
        worst_section(worst, content, folders, out),
        left_out_section(content),
    ]
    return write_report(
        out,
        title=f"Scores of {content.row.method}",
        intro=summary_sentence(content),
        sections=sections,
        manifest=_manifest(content, painting, scored, task, index),
    )


def _read_painting(generated: Path) -> dict[str, Any] | None:
    """Read the manifest that `evaluate pipeline` keeps above its pictures; None where it is none.

    Errors: DataError for one that is not JSON.
    """
    file = generated.resolve().parent.parent / RUN_MANIFEST
    if not file.is_file():
        return None
    manifest = read_object(file, DataError, "Remove it, or paint again.")
    return manifest if "pipeline" in manifest else None


def _manifest(
    content: ScoredFolder,
    painting: Mapping[str, Any] | None,
    scored: Path,
    task: Path | None,
    index: Path | None,
) -> dict[str, Any]:
    """Say what made the pictures, the scores and this page."""
    inputs: dict[str, Any] = {name: _sha256(scored / name) for name in (SCORES, PER_PAIR)}
    if task is not None:
        inputs["task"] = _sha256(task)
    if index is not None:
        inputs["index"] = index_identity(index)
    return {
        "painting": painting,
        "scoring": {
            "code": content.code,
            "versions": content.versions,
            "weights": content.weights,
            "folders": content.folders,
            **content.origin,
        },
        "report": {"code": code_identity(Path(__file__).parent), "versions": package_versions()},
        "sha256": inputs,
    }


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
