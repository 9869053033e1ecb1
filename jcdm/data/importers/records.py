"""Make subjects of rows: group by subject and split, each picture once, in a fixed order."""

import re
from collections.abc import Iterable

from jcdm.data.importers.base import Ledger, ViewRow
from jcdm.records import SubjectRecord, ViewRecord

_DIGITS = re.compile(r"(\d+)")


def group_rows(rows: Iterable[ViewRow], ledger: Ledger) -> list[SubjectRecord]:
    """Group rows into subjects. The result does not depend on the order of the rows.

    A picture that a subject names again is the same view; one that two subjects or splits name
    is a bad row.
    """
    owners: dict[str, ViewRow] = {}
    groups: dict[tuple[str, str], list[ViewRow]] = {}
    for row in rows:
        owner = owners.setdefault(str(row.image), row)
        if owner is row:
            groups.setdefault((row.split, row.subject), []).append(row)
        elif (owner.subject, owner.split) != (row.subject, row.split):
            ledger.bad(
                row.where,
                f"found {row.image.name} in subject {row.subject!r} of {row.split}, expected it in "
                f"one: it is in {owner.subject!r} of {owner.split} ({owner.where}).",
            )
    order = sorted(groups, key=lambda key: (key[0] != "train", key))
    return [_subject(split, subject, groups[split, subject]) for split, subject in order]


def drop_small(records: list[SubjectRecord], least: int, ledger: Ledger) -> list[SubjectRecord]:
    """Leave out subjects with fewer views than `least`, and say how many."""
    kept = [record for record in records if len(record.views) >= least]
    if len(kept) < len(records):
        ledger.note(f"{len(records) - len(kept)} subjects with fewer than {least} views left out")
    return kept


def _subject(split: str, subject: str, rows: list[ViewRow]) -> SubjectRecord:
    rows = sorted(rows, key=lambda row: _natural(str(row.tags.get("view") or row.image)))
    return SubjectRecord(subject=subject, split=split, views=tuple(map(_view, rows)))


def _view(row: ViewRow) -> ViewRecord:
    return ViewRecord(
        image=row.image,
        keypoints=row.keypoints,
        keypoint_valid=row.keypoint_valid,
        pose_map=row.pose_map,
        tags=row.tags,
    )


def _natural(text: str) -> list[tuple[int, str]]:
    """Sort key that puts view 2 before view 10."""
    parts = _DIGITS.split(text)
    return [(int(part), "") if i % 2 else (0, part) for i, part in enumerate(parts)]
