"""Sections of a report as plain values for report.json, and back."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from jcdm.evaluation.report_parts import Listing, Section, Table
from jcdm.naming import leads_out
from jcdm.plain import from_plain


def section_to_plain(section: Section, out: Path) -> dict[str, Any]:
    """Write a section whose pictures lie below `out` as what JSON can hold."""
    return {
        "title": section.title,
        "intro": section.intro,
        "weights": section.weights,
        "tables": [_table_to_plain(table) for table in section.tables],
        "fragments": [{"html": f.html, "markdown": f.markdown} for f in section.fragments],
        "figures": [{"file": _below(f.file, out), "caption": f.caption} for f in section.figures],
        "cards": [
            {"file": _below(card.file, out), "title": card.title, "lines": list(card.lines)}
            for card in section.cards
        ],
        "listings": [_listing_to_plain(listing) for listing in section.listings],
        "notes": list(section.notes),
    }


def section_from_plain(plain: Mapping[str, Any], folder: Path) -> Section:
    """Read a section back; reports of earlier versions have tables and figures alone.

    Errors: ValueError, KeyError, TypeError or AttributeError for what is no section, and for a
    picture that does not lie in the folder.
    """
    section = from_plain(Section, {**plain, "tables": []})
    return replace(
        section,
        tables=tuple(_table_from_plain(table) for table in plain["tables"]),
        figures=tuple(replace(f, file=_inside(f.file, folder)) for f in section.figures),
        cards=tuple(replace(card, file=_inside(card.file, folder)) for card in section.cards),
    )


def _inside(file: Path, folder: Path) -> Path:
    if leads_out(str(file)):
        raise ValueError(f"the picture {str(file)!a:.60} does not lie in the report's folder")
    return folder / file


def _below(file: Path, out: Path) -> str:
    return file.resolve().relative_to(out.resolve()).as_posix()


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


def _table_from_plain(plain: Mapping[str, Any]) -> Table:
    rows = {
        row["method"]: {
            "values": {name: [s["value"], s["count"]] for name, s in row["scores"].items()}
        }
        for row in plain["rows"]
    }
    return from_plain(Table, {**{k: v for k, v in plain.items() if k != "columns"}, "rows": rows})


def _listing_to_plain(listing: Listing) -> dict[str, Any]:
    return {
        "title": listing.title,
        "columns": list(listing.columns),
        "rows": [list(row) for row in listing.rows],
        "is_folded": listing.is_folded,
    }
