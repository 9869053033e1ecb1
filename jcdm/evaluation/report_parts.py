"""What a report is made of: sections with tables, listings, figures and cards."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jcdm.records import Scores

Cell = str | int | float | None


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
class Listing:
    """A table of words and finite numbers; None is an empty cell, `is_folded` shows its title."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    is_folded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Fragment:
    """Content that another module has rendered: `html` goes into the page as it is."""

    html: str
    markdown: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A PNG, JPEG or GIF file and the sentence below it."""

    file: Path
    caption: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A small picture with a title and lines of words; cards stand side by side."""

    file: Path
    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One part of a page; `weights` says whose pictures and numbers these are, if it must."""

    title: str
    intro: str
    weights: str = ""
    tables: tuple[Table, ...] = ()
    fragments: tuple[Fragment, ...] = ()
    figures: tuple[Figure, ...] = ()
    cards: tuple[Card, ...] = ()
    listings: tuple[Listing, ...] = ()
    notes: tuple[str, ...] = ()
