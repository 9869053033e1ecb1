"""The layout of JCDM: a list of {img1, ..., img4} and a list of {img, coordinate}."""

from pathlib import Path, PurePosixPath

import numpy as np

from jcdm.data.importers.base import RowError, Source, ViewRow
from jcdm.data.importers.joints import (
    NO_KEYPOINTS,
    NONE_VALID,
    Joints,
    are_pixels,
    parse_points,
    pixel_joints,
    unit_joints,
    without_zeros,
)
from jcdm.data.importers.paths import Pictures, read_size, safe_name
from jcdm.data.importers.people_lists import (
    Names,
    check_names,
    find_lists,
    name_person,
    split_of,
)
from jcdm.data.importers.text import Entry, shown

FOLDERS = ("", "image", "images", "img", "train_all_png", "all_data_png")
POSE_FOLDERS = ("pose", "dwpose", "poses")


def read(source: Source) -> list[ViewRow]:
    """Read every JSON list of the root: people, and coordinates by the picture's name."""
    people: list[tuple[str, Entry]] = []
    points: dict[str, tuple[str, np.ndarray]] = {}
    for path, entries in find_lists(source):
        for entry in entries:
            with source.ledger.row(entry.where):
                if isinstance(entry.value, dict) and "coordinate" in entry.value:
                    _add_points(entry, points, source.options.strip_prefix)
                else:
                    people.append((split_of(path), entry))
    in_pixels = are_pixels([pose for _, pose in points.values()])
    if points:
        words = "pixels of each picture" if in_pixels else "shares of the picture, 0 to 1"
        source.ledger.note(f"coordinates are {words}; {len(points)} pictures have some")
    return _views(source, people, {n: p for n, (_, p) in points.items()}, in_pixels)


def parse_person(value: object, strip_prefix: str = "") -> Names:
    """Names of img1, img2, ... in order; RowError when the entry has other keys."""
    keys = list(value) if isinstance(value, dict) else []
    if not isinstance(value, dict) or not keys or any(not _is_picture_key(key) for key in keys):
        raise RowError(
            f"found {shown(value)} with {shown(keys[0]) if keys else 'no keys'}, expected "
            "{img1, img2, ...} or {img, coordinate}."
        )
    return check_names([value[key] for key in sorted(keys, key=_number)], strip_prefix)


def parse_pose(value: object, strip_prefix: str = "") -> tuple[str, np.ndarray]:
    """File name of a picture and its points (18,2) as written; RowError otherwise."""
    if not isinstance(value, dict) or set(value) != {"img", "coordinate"}:
        raise RowError(f"found {shown(value)}, expected the keys img and coordinate.")
    return PurePosixPath(safe_name(value["img"], strip_prefix)).name, parse_points(
        value["coordinate"]
    )


def _is_picture_key(key: str) -> bool:
    return key.startswith("img") and key[3:].isdecimal() and key.isascii() and len(key) < 8


def _number(key: str) -> int:
    return int(key[3:])


def _add_points(entry: Entry, points: dict[str, tuple[str, np.ndarray]], strip: str) -> None:
    name, pose = parse_pose(entry.value, strip)
    if name in points:
        raise RowError(f"found {shown(name)} again, expected it once (first: {points[name][0]}).")
    points[name] = (entry.where, pose)


def _views(
    source: Source,
    people: list[tuple[str, Entry]],
    points: dict[str, np.ndarray],
    in_pixels: bool,
) -> list[ViewRow]:
    pictures, rows = Pictures(source, FOLDERS), list[ViewRow]()
    for split, (where, value) in people:
        with source.ledger.row(where):
            names = parse_person(value, source.options.strip_prefix)
            subject, tags = name_person(names)
            person = []
            for name, tag in zip(names, tags, strict=True):
                image, key = pictures.find(name), PurePosixPath(name).name
                joints = _unit(source, points.get(key), image, in_pixels)
                person.append(
                    ViewRow(
                        where=where,
                        subject=subject,
                        split=split,
                        image=image,
                        keypoints=joints.keypoints,
                        keypoint_valid=joints.valid,
                        pose_map=pictures.optional(key, POSE_FOLDERS),
                        tags=tag,
                    )
                )
            rows += person
    return rows


def _unit(source: Source, pose: np.ndarray | None, image: Path, in_pixels: bool) -> Joints:
    if pose is None:
        return Joints(NO_KEYPOINTS, NONE_VALID)
    if not in_pixels:
        return unit_joints(pose)
    if source.options.frame is None and not source.options.need_pictures:
        raise RowError("found coordinates in pixels, expected --frame HEIGHTxWIDTH or pictures.")
    return pixel_joints(without_zeros(pose), source.options.frame or read_size(image))
