"""List every problem of an index before training meets the first, and count what it holds."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from jcdm.data.images import load_image
from jcdm.data.index import index_identity, parse_header, parse_view, read_entries, read_index
from jcdm.data.keypoints import JOINT_NAMES, keep_in_frame
from jcdm.errors import DataError
from jcdm.records import SubjectRecord, ViewRecord


def check_index(path: Path | str) -> list[str]:
    """Return every problem of an index, one line each; an empty list means it can be trained on.

    Reads every picture. A file that is no index at all is its one problem.
    """
    path = Path(path)
    try:
        entries = read_entries(path)
    except DataError as error:
        return [str(error)]
    problems: list[str] = []
    records = [r for i, e in enumerate(entries) if (r := _parse(e, i, path, problems))]
    for record in records:
        problems += _subject_problems(record)
    return problems + list(_repeated(records)) + list(_leaks(records))


def index_stats(path: Path | str) -> dict[str, Any]:
    """Count an index: subjects and views a split, views a subject, joints seen; ready for JSON."""
    records = read_index(path)
    views = [view for record in records for view in record.views]
    counts = [len(record.views) for record in records]
    seen = np.mean([view.keypoint_valid for view in views], axis=0)
    splits = {
        split: {
            "num_subjects": sum(r.split == split for r in records),
            "num_views": sum(len(r.views) for r in records if r.split == split),
        }
        for split in dict.fromkeys(record.split for record in records)
    }
    return {
        **index_identity(path),
        "splits": splits,
        "views_a_subject": {"min": min(counts), "median": median(counts), "max": max(counts)},
        "num_pose_maps": sum(view.pose_map is not None for view in views),
        "share_of_joints_seen": round(float(seen.mean()), 4),
        "share_seen_by_joint": {
            name: round(float(share), 4) for name, share in zip(JOINT_NAMES, seen, strict=True)
        },
    }


def _parse(entry: object, position: int, path: Path, problems: list[str]) -> SubjectRecord | None:
    """Read what can be read of a subject, adding what cannot to `problems`."""
    try:
        subject, split, views = parse_header(entry, position, path)
    except DataError as error:
        problems.append(str(error))
        return None
    parsed: list[ViewRecord] = []
    for number, view in enumerate(views):
        try:
            parsed.append(parse_view(view, subject, number, path))
        except DataError as error:
            problems.append(str(error))
    return SubjectRecord(subject=subject, split=split, views=tuple(parsed)) if parsed else None


def _subject_problems(record: SubjectRecord) -> Iterator[str]:
    name = f"subject {record.subject!r}"
    if len(record.views) == 1:
        yield f"{name}: one view, expected two or more (a reference and a target). Remove it."
    for number, view in enumerate(record.views):
        for picture in (view.image, view.pose_map):
            if picture is None:
                continue
            try:
                load_image(picture)
            except DataError as error:
                yield f"{name}, view {number}: {error}"
        outside = view.keypoint_valid & ~keep_in_frame(view.keypoints, view.keypoint_valid)
        if outside.any():
            joints = ", ".join(JOINT_NAMES[joint] for joint in np.flatnonzero(outside))
            yield (
                f"{name}, view {number}: {joints} valid but outside [0, 1]. Divide x by the width "
                "and y by the height, or mark them invalid."
            )


def _repeated(records: list[SubjectRecord]) -> Iterator[str]:
    """Subjects listed twice in a split, and photographs used by more than one view."""
    for (subject, split), count in Counter((r.subject, r.split) for r in records).items():
        if count > 1:
            yield f"subject {subject!r}: {count} times in split {split!r}, expected once. Join it."
    owners: dict[str, list[str]] = {}
    for record in records:
        for view in record.views:
            owners.setdefault(os.path.abspath(view.image), []).append(record.subject)
    for image, subjects in owners.items():
        if len(subjects) > 1:
            names = ", ".join(repr(name) for name in dict.fromkeys(subjects))
            yield f"picture {image}: {len(subjects)} views show it ({names}), expected one."


def _leaks(records: list[SubjectRecord]) -> Iterator[str]:
    """Subjects that are in more than one split: their test scores would be worth nothing."""
    splits: dict[str, dict[str, None]] = {}
    for record in records:
        splits.setdefault(record.subject, {})[record.split] = None
    for subject, found in splits.items():
        if len(found) > 1:
            names = ", ".join(repr(split) for split in found)
            yield f"subject {subject!r}: in splits {names}, expected one. Keep it in one of them."
