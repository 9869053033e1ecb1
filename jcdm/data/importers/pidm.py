"""The layout of PIDM and NTED: text lists of target and sources, a text file of joints each."""

from pathlib import PurePosixPath

import numpy as np

from jcdm.data.importers.base import RowError, Source, ViewRow
from jcdm.data.importers.joints import (
    BAND,
    NO_KEYPOINTS,
    NONE_VALID,
    Joints,
    are_pixels,
    pixel_joints,
    read_pose_file,
    unit_joints,
)
from jcdm.data.importers.paths import Pictures, safe_name
from jcdm.data.importers.photo_names import PhotoName, require_name
from jcdm.data.importers.text import read_lines, shown
from jcdm.errors import DataError

FOLDERS = ("", "img_highres", "img_256x256")
IMAGES, POSES = "img", "pose"
FRAME = (256, 256)
"""Joints are written in this frame (H, W), the person between two white bands of 40 pixels."""


def read(source: Source) -> list[ViewRow]:
    """Read train_pairs.txt and test_pairs.txt: target first, then one or more sources."""
    lists = [(split, source.root / f"{split}_pairs.txt") for split in ("train", "test")]
    lists = [(split, path) for split, path in lists if path.is_file()]
    if not lists:
        raise DataError(
            f"{source.root}: found no list, expected train_pairs.txt or test_pairs.txt. "
            "Check --root."
        )
    named: dict[PhotoName, tuple[str, str, str]] = {}
    for split, path in lists:
        for where, line in read_lines(path, source.root):
            with source.ledger.row(where):
                for photo, name in parse_line(line, source.options.strip_prefix):
                    if named.setdefault(photo, (where, split, name))[1] != split:
                        raise RowError(f"found {shown(name)} in train and test, expected one.")
    return _views(source, named)


def parse_line(line: str, strip_prefix: str = "") -> list[tuple[PhotoName, str]]:
    """The photographs of a line; RowError when there are not two or more of one person."""
    names = [safe_name(part, strip_prefix) for part in line.split(",")]
    if len(names) < 2:
        raise RowError(f"found {len(names)} name, expected a target and one or more sources.")
    photos = [require_name(name) for name in names]
    if len({photo.subject for photo in photos}) > 1:
        raise RowError("found two people or outfits, expected pictures of one.")
    return list(zip(photos, names, strict=True))


def _views(source: Source, named: dict[PhotoName, tuple[str, str, str]]) -> list[ViewRow]:
    pictures, rows = Pictures(source, FOLDERS), list[ViewRow]()
    points = _read_points(source, pictures, named)
    in_pixels = are_pixels(list(points.values()))
    frame = source.options.frame or FRAME
    if points:
        words = f"pixels of a frame of {frame[0]}x{frame[1]}" if in_pixels else "shares, 0 to 1"
        source.ledger.note(f"joints are {words}; {len(points)} of {len(named)} pictures have some")
    for photo, (where, split, name) in named.items():
        with source.ledger.row(where):
            joints = _unit(points.get(photo), in_pixels, frame)
            rows.append(
                ViewRow(
                    where=where,
                    subject=photo.subject,
                    split=split,
                    image=pictures.find(name),
                    keypoints=joints.keypoints,
                    keypoint_valid=joints.valid,
                    tags=photo.tags(),
                )
            )
    return rows


def _read_points(
    source: Source, pictures: Pictures, named: dict[PhotoName, tuple[str, str, str]]
) -> dict[PhotoName, np.ndarray]:
    """Joints as written, where there is a file of them: pose/ for img/, txt for jpg."""
    found: dict[PhotoName, np.ndarray] = {}
    for photo, (where, _, name) in named.items():
        parts = [POSES if part == IMAGES else part for part in PurePosixPath(name).parts]
        with source.ledger.row(where):
            path = pictures.optional(PurePosixPath(*parts).with_suffix(".txt").as_posix(), ("",))
            if path is not None:
                found[photo] = read_pose_file(path)
    return found


def _unit(points: np.ndarray | None, in_pixels: bool, frame: tuple[int, int]) -> Joints:
    if points is None:
        return Joints(NO_KEYPOINTS, NONE_VALID)
    if not in_pixels:
        return unit_joints(points)
    if frame == FRAME:
        return pixel_joints(points, (256, 256 - 2 * BAND), left=BAND)
    return pixel_joints(points, frame)
