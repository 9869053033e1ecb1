"""What every importer is given and gives back: a source, rows with file and line, a ledger."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from jcdm.errors import DataError

OnBad = Literal["error", "skip"]
_REMEDY = "Repair it, or leave such rows out with --on_bad skip."


class RowError(DataError):
    """One row of a list is wrong; says what was found and what was expected."""


@dataclass(slots=True, kw_only=True)
class Ledger:
    """Keeps account of rows that were not imported and of facts the user is told.

    on_bad "error" stops at the first bad row; "skip" lists it in `skipped` and goes on.
    """

    root: Path
    on_bad: OnBad = "error"
    skipped: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    facts: dict[str, object] = field(default_factory=dict)

    def bad(self, where: str, reason: str) -> None:
        """Account for a bad row. `where` is file:line; DataError when bad rows stop the import."""
        if self.on_bad == "error":
            raise DataError(f"{self.root / where}: {reason} {_REMEDY}")
        self.skipped.append((where, reason))

    @contextmanager
    def row(self, where: str) -> Iterator[None]:
        """Account for a RowError raised inside."""
        try:
            yield
        except RowError as error:
            self.bad(where, str(error))

    def note(self, text: str) -> None:
        """Tell the user a fact, once."""
        if text not in self.notes:
            self.notes.append(text)

    def add_pairs(self, split: str, path: Path, num_pairs: int) -> None:
        """Remember a table of pairs, for test tasks and for counts."""
        tables = self.facts.setdefault("pairs", {})
        assert isinstance(tables, dict)
        tables[split] = {"file": str(path.absolute()), "num_pairs": num_pairs}
        self.note(f"{path.name}: {num_pairs} pairs name imported pictures")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the user chose.

    frame (H, W) of coordinates in pixels, None = told from the numbers; split of formats that
    name none; strip_prefix is cut off names; extract_to and password are for a zip file;
    arrange is a folder to place the download's pictures in under their protocol names.
    """

    need_pictures: bool = True
    frame: tuple[int, int] | None = None
    split: str = "test"
    strip_prefix: str = ""
    password: str | None = None
    extract_to: Path | None = None
    arrange: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The folder (or zip file) to import, what the user chose, and where to report."""

    root: Path
    ledger: Ledger
    options: Options = field(default_factory=Options)


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewRow:
    """One photograph as a list names it. where: file:line; keypoints (18,2) in [0,1]."""

    where: str
    subject: str
    split: str
    image: Path
    keypoints: np.ndarray
    keypoint_valid: np.ndarray
    pose_map: Path | None = None
    tags: Mapping[str, object] = field(default_factory=dict)


Importer = Callable[[Source], list[ViewRow]]
"""Reads a source; bad rows go to `source.ledger`, good ones are returned."""
