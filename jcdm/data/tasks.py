"""Test tasks of an index as JSON files that can be published: they hold names, no picture.

{"format": "jcdm-task", "version": 1, "task": str, "kind": str, "rule": str, "split": str,
"index": {...}, "num_items": int, "items": [{"subject": str, "references": [name],
"targets": [name]}]}.
"""

import hashlib
import json
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path
from typing import Any, NamedTuple

from jcdm.data.importers.base import Ledger, OnBad, RowError, Source
from jcdm.data.importers.photo_names import parse_name
from jcdm.data.importers.tables import read_pairs
from jcdm.data.importers.text import shown
from jcdm.data.index import index_identity, read_index
from jcdm.data.protocol import pair_tables, read_generator, view_name
from jcdm.errors import DataError
from jcdm.records import SubjectRecord

VERSION = 1
LOOK_ALIKE = "look-alike"
MOST_VIEWS = 4
"""Views of one item of the tasks with several: what a grid of 2 x 2 holds."""
_RULES = {
    LOOK_ALIKE: "every ordered pair of a subject's views that show a person (flat ones left out, "
    "views without any joint left out where others of the index have joints)",
    "multi-target": "each view is the reference once, up to 3 others in order are the targets",
    "multi-reference": "each view is the target once, up to 3 others in order are the references",
}


class Item(NamedTuple):
    """One test: views given and views to make, by name."""

    subject: str
    references: Sequence[str]
    targets: Sequence[str]


class Task(NamedTuple):
    """What a file says: the task's name, kind and rule, and its items."""

    task: str
    kind: str
    rule: str
    items: Sequence[Item]

    @property
    def file(self) -> str:
        """Name of its file; a look-alike list says so in it."""
        return f"{self.task}-{LOOK_ALIKE}.json" if self.kind == LOOK_ALIKE else f"{self.task}.json"


class Written(NamedTuple):
    """A task that was written."""

    file: Path
    kind: str
    num_items: int


def write_tasks(
    index: Path,
    out: Path,
    *,
    pairs: Path | None = None,
    look_alike: bool = False,
    max_pairs: int | None = None,
    split: str = "test",
    on_bad: OnBad = "error",
) -> tuple[list[Written], Ledger]:
    """Write the tasks of a split into the folder `out`: pair, multi-target, multi-reference.

    pairs: the protocol's table; default: the one the index was imported with. Where there is none,
    or with `look_alike`, pairs are made of the views and called look-alike in the file and its
    name; of more than `max_pairs` those with the smallest hash stay. Returns files and ledger.
    """
    records = read_index(index, split)
    table = None if look_alike else pairs or _known_table(index, split)
    ledger = Ledger(root=table.parent if table else index.parent, on_bad=on_bad)
    if table is not None:
        rule = f"the pairs of {table.name}, sha256 {_sha256(table)}"
        found = Task("pair", "list", rule, _listed(table, records, ledger))
    else:
        items = _look_alike(records, max_pairs)
        rule = _RULES[LOOK_ALIKE] + (f"; {max_pairs} by smallest sha256" if max_pairs else "")
        found = Task("pair", LOOK_ALIKE, rule, items)
    out.mkdir(parents=True, exist_ok=True)
    identity = index_identity(index)
    tasks = [found, *_with_several(records)]
    return [_write(out, task, split, identity) for task in tasks], ledger


def _known_table(index: Path, split: str) -> Path | None:
    table = pair_tables(read_generator(index)).get(split)
    return Path(table["file"]) if table else None


def _listed(table: Path, records: Sequence[SubjectRecord], ledger: Ledger) -> list[Item]:
    """Pairs of a table, each checked against the views of the split."""
    views = {view_name(view): record for record in records for view in record.views}
    items = []
    for where, *both in read_pairs(table, Source(root=table.parent, ledger=ledger)):
        with ledger.row(where):
            names = [photo.protocol_name if (photo := parse_name(n)) else n for n in both]
            for name in names:
                if name not in views:
                    raise RowError(
                        f"found {shown(name)}, expected a picture of split {records[0].split!r}; "
                        "is this the table of another split of the data?"
                    )
            first, second = (views[name].subject for name in names)
            if first != second:
                raise RowError(f"found subjects {first} and {second}, expected one.")
            items.append(Item(first, names[:1], names[1:]))
    return items


def _look_alike(records: Sequence[SubjectRecord], max_pairs: int | None) -> list[Item]:
    items = [
        Item(record.subject, [source], [target])
        for record in records
        for source, target in permutations(_usable(record, _has_joints(records)), 2)
    ]
    if max_pairs is None or len(items) <= max_pairs:
        return items
    kept = sorted(items, key=_draw)[:max_pairs]
    return sorted(kept)


def _draw(item: Item) -> str:
    text = f"{item.references[0]},{item.targets[0]}"
    return hashlib.sha256(text.encode()).hexdigest()


def _has_joints(records: Sequence[SubjectRecord]) -> bool:
    return any(view.keypoint_valid.any() for record in records for view in record.views)


def _usable(record: SubjectRecord, need_joints: bool) -> list[str]:
    """Names of the views that show a person."""
    names = [
        view_name(view)
        for view in record.views
        if view.tags.get("side") != "flat" and (view.keypoint_valid.any() or not need_joints)
    ]
    if len(set(names)) < len(names):
        raise DataError(
            f"subject {record.subject!r}: two views have the same file name, expected different "
            "ones, since a task names views by their files. Rename one."
        )
    return names


def _with_several(records: Sequence[SubjectRecord]) -> list[Task]:
    need_joints = _has_joints(records)
    targets, references = list[Item](), list[Item]()
    for record in records:
        names = _usable(record, need_joints)
        for name in names if len(names) >= 3 else ():
            others = [other for other in names if other != name][: MOST_VIEWS - 1]
            targets.append(Item(record.subject, [name], others))
            references.append(Item(record.subject, others, [name]))
    return [
        Task(name, "all views", _RULES[name], items)
        for name, items in (("multi-target", targets), ("multi-reference", references))
    ]


def _write(out: Path, task: Task, split: str, identity: dict[str, Any]) -> Written:
    file = out / task.file
    document = {
        "format": "jcdm-task",
        "version": VERSION,
        "task": task.task,
        "kind": task.kind,
        "rule": task.rule,
        "split": split,
        "index": identity,
        "num_items": len(task.items),
        "items": [item._asdict() for item in task.items],
    }
    file.write_text(json.dumps(document, separators=(",", ":")) + "\n", encoding="utf-8")
    return Written(file, task.kind, len(task.items))


def _sha256(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        raise DataError(
            f"{file}: pair table not found. Name it with --pairs FILE, or take --pairs look-alike."
        ) from None
