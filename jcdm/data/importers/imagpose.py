"""The layout of IMAGPose: a JSON list of lists, one person's pictures each; poses as pictures."""

from pathlib import Path, PurePosixPath

from jcdm.data.importers.base import RowError, Source, ViewRow
from jcdm.data.importers.joints import NO_KEYPOINTS, NONE_VALID
from jcdm.data.importers.paths import Pictures
from jcdm.data.importers.people_lists import (
    Names,
    check_names,
    find_lists,
    name_person,
    split_of,
)
from jcdm.data.importers.text import shown

IMAGES, POSES = "image", "dwpose"
FOLDERS = ("", IMAGES, "train_all_png", "all_data_png")
"""Pose pictures have the picture's name with `image/` replaced by `dwpose/`."""


def read(source: Source) -> list[ViewRow]:
    """Read every JSON list of the root; one whose name has the word test is the test split."""
    pictures, rows = Pictures(source, FOLDERS), []
    for path, entries in find_lists(source):
        for where, value in entries:
            with source.ledger.row(where):
                names = parse_entry(value, source.options.strip_prefix)
                rows += _views(pictures, names, where, split_of(path))
    source.ledger.note("the format has no keypoints: all joints missing")
    num = sum(row.pose_map is not None for row in rows)
    source.ledger.note(f"{num} of {len(rows)} pictures have a pose picture in {POSES}/")
    return rows


def parse_entry(value: object, strip_prefix: str = "") -> Names:
    """Names of the pictures of one person; RowError when it is no list of names."""
    if not isinstance(value, list):
        raise RowError(f"found {shown(value)}, expected a list of pictures of one person.")
    return check_names(value, strip_prefix)


def _views(pictures: Pictures, names: Names, where: str, split: str) -> list[ViewRow]:
    subject, tags = name_person(names)
    return [
        ViewRow(
            where=where,
            subject=subject,
            split=split,
            image=pictures.find(name),
            keypoints=NO_KEYPOINTS,
            keypoint_valid=NONE_VALID,
            pose_map=_find_pose(pictures, name),
            tags=tag,
        )
        for name, tag in zip(names, tags, strict=True)
    ]


def _find_pose(pictures: Pictures, name: str) -> Path | None:
    parts = [POSES if part == IMAGES else part for part in PurePosixPath(name).parts]
    folders = ("",) if POSES in parts else (POSES,)
    return pictures.optional("/".join(parts), folders)
