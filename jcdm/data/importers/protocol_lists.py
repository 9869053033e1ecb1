"""The published DeepFashion protocol: image lists, keypoint tables and pair tables."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jcdm.data.importers.base import RowError, Source, ViewRow
from jcdm.data.importers.joints import BAND, NO_KEYPOINTS, NONE_VALID, Joints, pixel_joints
from jcdm.data.importers.paths import Pictures, read_size, safe_name
from jcdm.data.importers.photo_names import PhotoName, require_name
from jcdm.data.importers.tables import (
    Pair,
    check_frame,
    find_table,
    read_annotation,
    read_pairs,
    tell_frame,
)
from jcdm.data.importers.text import Entry, read_lines, shown
from jcdm.errors import DataError

SPLITS = ("train", "test")
SQUARE = (256, 256)
_NARROWEST_SQUARE = 0.85  # width by height from which on a picture has the white bands


class Pose(NamedTuple):
    """Joints (18,2) in pixels of a frame (H, W), as a table has them."""

    where: str
    points: np.ndarray
    frame: tuple[int, int]


Lists = dict[str, list[Entry]]
Poses = dict[PhotoName, Pose]
Locate = Callable[[str, PhotoName, str], Path]
"""From a name as written, the photograph it names and its split to the picture's path."""


def in_folders(source: Source, folders: Mapping[str, Sequence[str]]) -> Locate:
    """Look for the pictures of each split in folders of the root."""
    pictures = Pictures(source, ())

    def locate(name: str, photo: PhotoName, split: str) -> Path:
        return pictures.find(name, photo.protocol_name, folders=folders[split])

    return locate


def read_protocol(source: Source, locate: Locate) -> list[ViewRow]:
    """Read every list of the root. locate: says where a picture is, or raises a RowError.

    train.lst and test.lst say which pictures there are; where one is missing, the keypoint table
    or else the pair table of its split does.
    """
    poses: Poses = {}
    pairs: dict[str, list[Pair]] = {}
    names: Lists = {}
    for split in SPLITS:
        table = _read_poses(source, split, poses)
        path = find_table(source.root, "pairs", split)
        pairs[split] = read_pairs(path, source) if path else []
        names[split] = _names(source, split, table, pairs[split])
    if not any(names.values()):
        raise DataError(
            f"{source.root}: found no list, expected train.lst, test.lst or tables such as "
            "fasion-resize-annotation-train.csv. Check --root."
        )
    rows, known = _read_names(source, names, poses, locate)
    _report_strangers(source, poses, known)
    for split in SPLITS:
        _report_pairs(source, split, pairs[split], known)
    return rows


def _read_poses(source: Source, split: str, poses: Poses) -> list[Entry]:
    """Add a split's keypoint table to `poses`; returns its names, to be used without a list."""
    path = find_table(source.root, "annotation", split)
    rows = read_annotation(path, source) if path else []
    frame = tell_frame(rows, source, path) if path else SQUARE
    names = []
    for row in rows:
        with source.ledger.row(row.where):
            photo = require_name(row.name)
            check_frame(row.points, frame)
            if photo in poses:
                first = poses[photo].where
                raise RowError(f"found {shown(row.name)} again, expected it once ({first}).")
            poses[photo] = Pose(row.where, row.points, frame)
            names.append(Entry(row.where, row.name))
    return names


def _names(source: Source, split: str, table: list[Entry], pairs: list[Pair]) -> list[Entry]:
    """Names of a split's pictures with the line they stand in."""
    path = source.root / f"{split}.lst"
    if path.is_file():
        return read_lines(path, source.root)
    if table:
        source.ledger.note(f"{split}.lst not found: pictures are those of the keypoint table")
        return table
    if pairs:
        source.ledger.note(f"{split}.lst not found: pictures are those of the pair table")
    first: dict[str, str] = {}
    for where, *both in pairs:
        for name in both:
            first.setdefault(name, where)
    return [Entry(where, name) for name, where in first.items()]


def _read_names(
    source: Source, names: Lists, poses: Poses, locate: Locate
) -> tuple[list[ViewRow], dict[PhotoName, str]]:
    """Make a row of each name; also returns the split of every photograph."""
    rows: list[ViewRow] = []
    known: dict[PhotoName, str] = {}
    lines: dict[PhotoName, str] = {}
    num_cut = 0
    for split in SPLITS:
        for where, written in names[split]:
            with source.ledger.row(where):
                name = safe_name(written)
                photo = require_name(name)
                if photo in known:
                    raise RowError(
                        f"found {shown(name)} again, expected it once (first: {lines[photo]})."
                    )
                known[photo], lines[photo] = split, where
                image = locate(name, photo, split)
                joints = _unit_joints(source, poses.get(photo), image)
                num_cut += _num_seen(poses.get(photo)) - int(joints.valid.sum())
                rows.append(_row(where, photo, split, image, joints))
    if num_cut:
        source.ledger.note(f"{num_cut} joints in the white bands marked missing")
    return rows, known


def _row(where: str, photo: PhotoName, split: str, image: Path, joints: Joints) -> ViewRow:
    return ViewRow(
        where=where,
        subject=photo.subject,
        split=split,
        image=image,
        keypoints=joints.keypoints,
        keypoint_valid=joints.valid,
        tags=photo.tags(),
    )


def _unit_joints(source: Source, pose: Pose | None, image: Path) -> Joints:
    """The square frame shows the picture between white bands, which most pictures lack."""
    if pose is None:
        return Joints(NO_KEYPOINTS, NONE_VALID)
    if pose.frame != SQUARE:
        return pixel_joints(pose.points, pose.frame)
    height, width = read_size(image) if source.options.need_pictures else (256, 176)
    if width > _NARROWEST_SQUARE * height:
        source.ledger.note("square pictures keep their white bands; joints are placed in them")
        return pixel_joints(pose.points, SQUARE)
    return pixel_joints(pose.points, (256, 256 - 2 * BAND), left=BAND)


def _num_seen(pose: Pose | None) -> int:
    return 0 if pose is None else int((pose.points[:, 0] >= 0).sum())


def _report_strangers(source: Source, poses: Poses, known: Mapping[PhotoName, str]) -> None:
    """Account for keypoints of pictures that no list names."""
    for photo, pose in poses.items():
        if photo not in known:
            source.ledger.bad(
                pose.where,
                f"found keypoints of {photo.protocol_name}, expected a picture that train.lst or "
                "test.lst names.",
            )
    if num := sum(photo not in poses for photo in known):
        source.ledger.note(f"{num} of {len(known)} pictures have no keypoints: all joints missing")


def _report_pairs(
    source: Source, split: str, pairs: list[Pair], known: Mapping[PhotoName, str]
) -> None:
    """Account for pairs; remember how many there are and in which file."""
    num_good, splits = 0, set()
    for where, *both in pairs:
        with source.ledger.row(where):
            photos = [require_name(name) for name in both]
            for photo, name in zip(photos, both, strict=True):
                if photo not in known:
                    raise RowError(f"found {shown(name)}, expected a picture that a list names.")
                splits.add(known[photo])
            if photos[0].subject != photos[1].subject:
                raise RowError("found two people or outfits, expected two pictures of one.")
            num_good += 1
    path = find_table(source.root, "pairs", split)
    if path is not None:
        source.ledger.add_pairs(split, path, num_good)
    if others := splits - {split}:
        source.ledger.note(
            f"the {split} pairs use pictures of split {', '.join(sorted(others))}: they belong to "
            "another split of DeepFashion than the lists"
        )
