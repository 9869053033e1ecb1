"""List every problem of an index before training meets the first."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jcdm.data.damage import find_damage
from jcdm.data.importers.photo_names import parse_name
from jcdm.data.index import parse_header, parse_view, read_entries
from jcdm.data.keypoints import JOINT_NAMES, keep_in_frame
from jcdm.data.protocol import shared_identities
from jcdm.data.skipping import pictures_of
from jcdm.errors import DataError, MissingViewError
from jcdm.records import SubjectRecord, ViewRecord

KINDS = (
    *("unreadable entries", "subjects of one view", "missing files", "broken pictures"),
    *("views with joints outside", "repeated subjects", "repeated pictures", "repeated names"),
    "subjects in two splits",
)


class Problem(NamedTuple):
    """One thing that is wrong: its kind, one of KINDS, and a line that says what to do."""

    kind: str
    line: str


class Checked(NamedTuple):
    """What was looked at (subjects that could be read), what is wrong, what is worth knowing."""

    records: Sequence[SubjectRecord]
    problems: Sequence[Problem]
    notes: Sequence[str]


def check_index(path: Path | str) -> list[str]:
    """Return every problem of an index, one line each; an empty list means it can be trained on.

    Reads every picture. A file that is no index at all is its one problem.
    """
    return [problem.line for problem in examine_index(path).problems]


def examine_index(path: Path | str, *, read_pictures: bool = True) -> Checked:
    """Look at everything an index holds; without `read_pictures` at no picture, nor for one."""
    path, problems = Path(path), list[Problem]()
    try:
        entries = read_entries(path)
    except DataError as error:
        return Checked((), [Problem("unreadable entries", str(error))], ())
    records = [r for i, e in enumerate(entries) if (r := _parse(e, i, path, problems))]
    damage = find_damage(pictures_of(records)) if read_pictures else {}
    for record in records:
        problems += _subject_problems(record, damage)
    problems += [*_repeated(records), *_repeated_names(records), *_leaks(records)]
    return Checked(records, problems, list(_notes(records)))


def _parse(
    entry: object, position: int, path: Path, problems: list[Problem]
) -> SubjectRecord | None:
    """Read what can be read of a subject, adding what cannot to `problems`."""
    try:
        subject, split, views = parse_header(entry, position, path)
    except DataError as error:
        problems.append(Problem("unreadable entries", str(error)))
        return None
    parsed: list[ViewRecord] = []
    for number, view in enumerate(views):
        try:
            parsed.append(parse_view(view, subject, number, path))
        except DataError as error:
            problems.append(Problem("unreadable entries", str(error)))
    return SubjectRecord(subject=subject, split=split, views=tuple(parsed)) if parsed else None


def _subject_problems(record: SubjectRecord, damage: Mapping[Path, DataError]) -> Iterator[Problem]:
    name = f"subject {record.subject!r}"
    if len(record.views) == 1:
        yield Problem(
            "subjects of one view",
            f"{name}: one view, expected two or more (a reference and a target). Remove it.",
        )
    for number, view in enumerate(record.views):
        for picture in (view.image, view.pose_map):
            if picture is not None and (error := damage.get(picture)) is not None:
                is_missing = isinstance(error, MissingViewError)
                kind = "missing files" if is_missing else "broken pictures"
                yield Problem(kind, f"{name}, view {number}: {error}")
        outside = view.keypoint_valid & ~keep_in_frame(view.keypoints, view.keypoint_valid)
        if outside.any():
            joints = ", ".join(JOINT_NAMES[joint] for joint in np.flatnonzero(outside))
            yield Problem(
                "views with joints outside",
                f"{name}, view {number}: {joints} valid but outside [0, 1]. Divide x by the width "
                "and y by the height, or mark them invalid.",
            )


def _repeated(records: list[SubjectRecord]) -> Iterator[Problem]:
    """Subjects listed twice in a split, and photographs used by more than one view."""
    for (subject, split), count in Counter((r.subject, r.split) for r in records).items():
        if count > 1:
            yield Problem(
                "repeated subjects",
                f"subject {subject!r}: {count} times in split {split!r}, expected once. Join it.",
            )
    owners: dict[str, list[str]] = {}
    for record in records:
        for view in record.views:
            owners.setdefault(os.path.abspath(view.image), []).append(record.subject)
    for image, subjects in owners.items():
        if len(subjects) > 1:
            names = ", ".join(repr(name) for name in dict.fromkeys(subjects))
            yield Problem(
                "repeated pictures",
                f"picture {image}: {len(subjects)} views show it ({names}), expected one.",
            )


def _repeated_names(records: list[SubjectRecord]) -> Iterator[Problem]:
    """DeepFashion names that different files have, whichever way they are spelled."""
    files: dict[str, set[str]] = {}
    for record in records:
        for view in record.views:
            photo = parse_name(view.image.as_posix())
            if photo is not None:
                files.setdefault(photo.protocol_name, set()).add(os.path.abspath(view.image))
    for name, paths in files.items():
        if len(paths) > 1:
            first, second, *_ = sorted(paths)
            yield Problem(
                "repeated names",
                f"name {name}: {len(paths)} files have it, first {first} and {second}, expected "
                "one. Remove the others.",
            )


def _leaks(records: list[SubjectRecord]) -> Iterator[Problem]:
    """Subjects that are in more than one split: their test scores would be worth nothing."""
    splits: dict[str, dict[str, None]] = {}
    for record in records:
        splits.setdefault(record.subject, {})[record.split] = None
    for subject, found in splits.items():
        if len(found) > 1:
            names = ", ".join(repr(split) for split in found)
            yield Problem(
                "subjects in two splits",
                f"subject {subject!r}: in splits {names}, expected one. Keep it in one of them.",
            )


def _notes(records: list[SubjectRecord]) -> Iterator[str]:
    """Facts that are no mistake of the index: the published DeepFashion split has 513 of these."""
    if shared := shared_identities(records):
        yield (
            f"{len(shared)} identities are in several splits, counting all their outfits, first "
            f"{', '.join(shared[:3])}; scores on them are not scores on unseen people"
        )
