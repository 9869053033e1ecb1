"""Sections of a report as plain values for report.json, and back."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jcdm.evaluation.report_parts import Card, Figure, Fragment, Listing, Section, Table
from jcdm.records import Scores


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
    """Read a section back; reports of earlier versions have tables and figures alone."""
    return Section(
        title=plain["title"],
        intro=plain["intro"],
        weights=plain["weights"],
        tables=tuple(_table_from_plain(table) for table in plain["tables"]),
        fragments=tuple(Fragment(**fragment) for fragment in plain.get("fragments", ())),
        figures=tuple(
            Figure(file=folder / figure["file"], caption=figure["caption"])
            for figure in plain["figures"]
        ),
        cards=tuple(
            Card(file=folder / card["file"], title=card["title"], lines=tuple(card["lines"]))
            for card in plain.get("cards", ())
        ),
        listings=tuple(_listing_from_plain(listing) for listing in plain.get("listings", ())),
        notes=tuple(plain.get("notes", ())),
    )


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


def _listing_to_plain(listing: Listing) -> dict[str, Any]:
    return {
        "title": listing.title,
        "columns": list(listing.columns),
        "rows": [list(row) for row in listing.rows],
        "is_folded": listing.is_folded,
    }


def _listing_from_plain(plain: Mapping[str, Any]) -> Listing:
    return Listing(
        title=plain["title"],
        columns=tuple(plain["columns"]),
        rows=tuple(tuple(row) for row in plain["rows"]),
        is_folded=plain["is_folded"],
    )
