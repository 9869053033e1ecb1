"""Reports: tables of scores, figures and the manifest, as JSON, Markdown and one HTML file.

`report.json` is the source: sections can be read back and joined with others. `report.html` holds
its pictures inside, so that it opens anywhere without network.
"""

import base64
import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from jcdm.errors import DataError
from jcdm.evaluation.metrics import ScoreDefinition, define_score, find_score
from jcdm.evaluation.report_parts import Card, Cell, Figure, Fragment, Listing, Section, Table
from jcdm.evaluation.report_plain import section_from_plain, section_to_plain
from jcdm.plain import from_plain
from jcdm.reading import read_object, short_reason

__all__ = [
    "Card",
    "Cell",
    "Figure",
    "Fragment",
    "Listing",
    "Section",
    "Table",
    "read_report",
    "read_sections",
    "write_report",
]

REPORT_PAGE = "report.html"  # written last
FORMAT = "jcdm-report"
VERSION = 1
MEDIA_TYPES = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".gif": "gif"}


def write_report(
    out: Path,
    *,
    title: str,
    intro: str,
    sections: Sequence[Section],
    manifest: Mapping[str, Any],
) -> Path:
    """Write report.json, report.md and report.html into `out`; returns the HTML file.

    Pictures that lie outside `out` are copied to `out/pictures`.
    """
    out.mkdir(parents=True, exist_ok=True)
    placed = [_place_pictures(section, number, out) for number, section in enumerate(sections, 1)]
    document = {
        "format": FORMAT,
        "version": VERSION,
        "title": title,
        "intro": intro,
        "sections": [section_to_plain(section, out) for section in placed],
        "scores": [_definition_to_plain(score) for score in _used_scores(placed)],
        "manifest": dict(manifest),
    }
    text = json.dumps(document, indent=2, ensure_ascii=False, default=str)
    _write(out / "report.json", text + "\n")
    for name in ("report.md", REPORT_PAGE):
        _write(out / name, _render(name, {**document, "manifest_text": _indent(manifest)}, out))
    return out / REPORT_PAGE


def read_report(folder: Path) -> dict[str, Any]:
    """Read `report.json` of a folder; DataError when it is absent or of another format."""
    file = folder / "report.json"
    if not file.is_file():
        raise DataError(f"{folder} holds no report.json; expected the folder of a finished test.")
    document = read_object(file, DataError, "Run the test again.")
    found = (document.get("format"), document.get("version"))
    if found != (FORMAT, VERSION):
        raise DataError(f"{file}: found format {found}, expected {(FORMAT, VERSION)}.")
    return document


def read_sections(folder: Path) -> tuple[Section, ...]:
    """Return the sections of a report written earlier, and define its scores again.

    Errors: DataError, also for a picture that does not lie in the folder.
    """
    document = read_report(folder)
    try:
        scores = [_definition_from_plain(plain) for plain in document["scores"]]
        sections = tuple(section_from_plain(plain, folder) for plain in document["sections"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"{folder / 'report.json'} is no report: {short_reason(error)}. Run the test again."
        ) from None
    for score in scores:
        define_score(score.name, score.direction, score.formula)
    return sections


def _place_pictures(section: Section, number: int, out: Path) -> Section:
    """Make sure that every picture lies below `out`, copying those that do not."""
    return replace(
        section,
        figures=tuple(replace(f, file=_place(f.file, number, out)) for f in section.figures),
        cards=tuple(replace(c, file=_place(c.file, number, out)) for c in section.cards),
    )


def _place(file: Path, number: int, out: Path) -> Path:
    if not file.is_file():
        raise DataError(f"figure {file} not found; expected a picture written before the report.")
    if file.resolve().is_relative_to(out.resolve()):
        return file
    target = out / "pictures" / f"{number:02d}_{file.parent.name}_{file.name}"
    target.parent.mkdir(exist_ok=True)
    shutil.copyfile(file, target)
    return target


def _used_scores(sections: Iterable[Section]) -> list[ScoreDefinition]:
    names = (n for section in sections for table in section.tables for n in table.columns)
    return [find_score(name) for name in dict.fromkeys(names)]


def _definition_to_plain(score: ScoreDefinition) -> dict[str, str]:
    return {
        "name": score.name,
        "heading": score.heading,
        "direction": score.direction,
        "formula": score.formula,
    }


def _definition_from_plain(plain: Mapping[str, Any]) -> ScoreDefinition:
    return from_plain(ScoreDefinition, {k: v for k, v in plain.items() if k != "heading"})


def _render(name: str, document: Mapping[str, Any], out: Path) -> str:
    environment = Environment(
        loader=PackageLoader("jcdm.evaluation"),
        autoescape=name.endswith(".html"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["heading"] = lambda score: find_score(score).heading
    environment.filters["embed"] = lambda file: _embed(out / file)
    environment.filters["cell"] = _write_cell
    environment.filters["md"] = lambda text: text.replace("|", "\\|")
    return environment.get_template(f"{name}.j2").render(document)


def _write_cell(value: Cell) -> str:
    """Write a cell of a listing: numbers with four digits, counts with commas."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if isinstance(value, str) else f"{value:,}"


def _embed(file: Path) -> str:
    """Return a picture as a data address."""
    content = base64.b64encode(file.read_bytes()).decode("ascii")
    return f"data:image/{MEDIA_TYPES[file.suffix]};base64,{content}"


def _indent(manifest: Mapping[str, Any]) -> str:
    return json.dumps(manifest, indent=2, ensure_ascii=False, default=str)


def _write(file: Path, text: str) -> None:
    """Write a file whole or not at all."""
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, file)
