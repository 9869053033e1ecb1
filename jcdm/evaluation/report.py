"""Reports: tables of scores, figures and the manifest, as JSON, Markdown and one HTML file.

`report.json` is the source: sections can be read back and joined with others. `report.html` holds
its pictures inside, so that it opens anywhere without network.
"""

import base64
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from jcdm.errors import DataError
from jcdm.evaluation.metrics import ScoreDefinition, define_score, find_score
from jcdm.records import Scores

FORMAT = "jcdm-report"
VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Scores side by side: one row a method, in this order; `highlight` names the method tried."""

    title: str
    rows: Mapping[str, Scores]
    highlight: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of all scores, in order of first appearance."""
        return tuple(dict.fromkeys(name for row in self.rows.values() for name in row.values))


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A PNG or GIF file and the sentence below it."""

    file: Path
    caption: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One test or one training run; `weights` says whose pictures and numbers these are."""

    title: str
    intro: str
    weights: str
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()


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
    placed = [_place_figures(section, number, out) for number, section in enumerate(sections, 1)]
    document = {
        "format": FORMAT,
        "version": VERSION,
        "title": title,
        "intro": intro,
        "sections": [_section_to_plain(section, out) for section in placed],
        "scores": [_definition_to_plain(score) for score in _used_scores(placed)],
        "manifest": dict(manifest),
    }
    text = json.dumps(document, indent=2, ensure_ascii=False, default=str)
    _write(out / "report.json", text + "\n")
    for name in ("report.md", "report.html"):
        _write(out / name, _render(name, {**document, "manifest_text": _indent(manifest)}, out))
    return out / "report.html"


def read_report(folder: Path) -> dict[str, Any]:
    """Read `report.json` of a folder; DataError when it is absent or of another format."""
    file = folder / "report.json"
    if not file.is_file():
        raise DataError(f"{folder} holds no report.json; expected the folder of a finished test.")
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise DataError(f"{file} is not JSON ({error}); run the test again.") from None
    found = (document.get("format"), document.get("version"))
    if found != (FORMAT, VERSION):
        raise DataError(f"{file}: found format {found}, expected {(FORMAT, VERSION)}.")
    return document


def read_sections(folder: Path) -> tuple[Section, ...]:
    """Return the sections of a report written earlier, and define its scores again."""
    document = read_report(folder)
    for score in document["scores"]:
        define_score(score["name"], score["direction"], score["formula"])
    return tuple(_section_from_plain(section, folder) for section in document["sections"])


def _place_figures(section: Section, number: int, out: Path) -> Section:
    """Make sure that every figure lies below `out`, copying those that do not."""
    placed = tuple(
        Figure(file=_place(figure.file, number, out), caption=figure.caption)
        for figure in section.figures
    )
    return Section(
        title=section.title,
        intro=section.intro,
        weights=section.weights,
        tables=section.tables,
        figures=placed,
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


def _section_to_plain(section: Section, out: Path) -> dict[str, Any]:
    return {
        "title": section.title,
        "intro": section.intro,
        "weights": section.weights,
        "tables": [_table_to_plain(table) for table in section.tables],
        "figures": [
            {
                "file": figure.file.resolve().relative_to(out.resolve()).as_posix(),
                "caption": figure.caption,
            }
            for figure in section.figures
        ],
    }


def _table_to_plain(table: Table) -> dict[str, Any]:
    return {
        "title": table.title,
        "columns": list(table.columns),
        "rows": [
            {
                "method": method,
                "scores": {n: {"value": v, "count": c} for n, (v, c) in row.values.items()},
            }
            for method, row in table.rows.items()
        ],
        "highlight": table.highlight,
        "notes": list(table.notes),
    }


def _definition_to_plain(score: ScoreDefinition) -> dict[str, str]:
    return {
        "name": score.name,
        "heading": score.heading,
        "direction": score.direction,
        "formula": score.formula,
    }


def _section_from_plain(plain: Mapping[str, Any], folder: Path) -> Section:
    return Section(
        title=plain["title"],
        intro=plain["intro"],
        weights=plain["weights"],
        tables=tuple(_table_from_plain(table) for table in plain["tables"]),
        figures=tuple(
            Figure(file=folder / figure["file"], caption=figure["caption"])
            for figure in plain["figures"]
        ),
    )


def _table_from_plain(plain: Mapping[str, Any]) -> Table:
    rows = {
        row["method"]: Scores(
            values={name: (s["value"], s["count"]) for name, s in row["scores"].items()}
        )
        for row in plain["rows"]
    }
    return Table(
        title=plain["title"],
        rows=rows,
        highlight=plain["highlight"],
        notes=tuple(plain["notes"]),
    )


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
    return environment.get_template(f"{name}.j2").render(document)


def _embed(file: Path) -> str:
    """Return a PNG or GIF file as a data address."""
    return f"data:image/{file.suffix[1:]};base64," + base64.b64encode(file.read_bytes()).decode(
        "ascii"
    )


def _indent(manifest: Mapping[str, Any]) -> str:
    return json.dumps(manifest, indent=2, ensure_ascii=False, default=str)


def _write(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")
