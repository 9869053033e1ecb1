"""Import a folder: find the importer of its format, group its rows, write the index."""

import gc
import importlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from jcdm.data.importers.base import Importer, Ledger, OnBad, Options, Source
from jcdm.data.importers.records import drop_small, group_rows
from jcdm.data.index import write_index
from jcdm.errors import DataError
from jcdm.records import SubjectRecord

VERSION = 1
FORMATS = (*("dptn", "cfld", "pcdms", "imagpose", "jcdm", "pidm", "market", "folder", "highres"),)
"""Each is a module of this package with `read(source)`, an `Importer`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What an import made: views by split, rows left out with file:line and reason, facts."""

    index: Path
    counts: dict[str, tuple[int, int]]
    skipped: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]


def import_data(
    data_format: str,
    root: Path,
    out: Path,
    *,
    on_bad: OnBad = "error",
    options: Options | None = None,
    min_views: int = 1,
) -> Imported:
    """Read the layout `data_format` below `root` and write the index `out`.

    on_bad "error": the first bad row ends the import with a DataError that names file and line;
    "skip": bad rows are left out and listed in the result and in the index's generator entry.
    """
    options = options or Options()
    source = Source(root=root, ledger=Ledger(root=root, on_bad=on_bad), options=options)
    if not root.is_dir() and not (data_format == "highres" and root.is_file()):
        raise DataError(f"{root} is no folder, expected the one the lists are in. Check --root.")
    read: Importer = importlib.import_module(f"jcdm.data.importers.{data_format}").read
    with _no_collection():
        records = drop_small(group_rows(read(source), source.ledger), min_views, source.ledger)
        _require_some(source, records)
        if not source.options.need_pictures:
            source.ledger.note("pictures were not looked for (--no_pictures), only names imported")
        write_index(out, records, generator=_generator(data_format, source, records))
    return Imported(
        index=out,
        counts=_counts(records),
        skipped=tuple(source.ledger.skipped),
        notes=tuple(source.ledger.notes),
    )


@contextmanager
def _no_collection() -> Iterator[None]:
    """Hold back garbage collection: rows are all kept, and walking them takes half the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _require_some(source: Source, records: list[SubjectRecord]) -> None:
    if not records:
        raise DataError(
            f"{source.root}: no row could be imported, {len(source.ledger.skipped)} were left out. "
            "See the reason of the first one with --on_bad error."
        )


def _counts(records: list[SubjectRecord]) -> dict[str, tuple[int, int]]:
    """Subjects and views of each split."""
    subjects = Counter(record.split for record in records)
    views = Counter[str]()
    for record in records:
        views[record.split] += len(record.views)
    return {split: (subjects[split], views[split]) for split in subjects}


def _generator(data_format: str, source: Source, records: list[SubjectRecord]) -> dict[str, object]:
    ledger = source.ledger
    return {
        "name": "jcdm data import",
        "version": VERSION,
        "format": data_format,
        "pictures": "found" if source.options.need_pictures else "not looked for",
        "num_views": sum(len(record.views) for record in records),
        "num_skipped": len(ledger.skipped),
        "skipped": [{"where": where, "reason": reason} for where, reason in ledger.skipped],
        "notes": list(ledger.notes),
        **ledger.facts,
    }
