"""The layout of PCDMs: pairs as JSON, joints as text files, all pictures in one folder."""

from pathlib import PurePosixPath

from jcdm.data.importers.base import RowError, Source, ViewRow
from jcdm.data.importers.joints import NO_KEYPOINTS, NONE_VALID, Joints, read_pose_file, unit_joints
from jcdm.data.importers.paths import Pictures, safe_name
from jcdm.data.importers.photo_names import PhotoName, require_name
from jcdm.data.importers.text import Entry, read_array, shown
from jcdm.errors import DataError

FOLDERS = ("all_data_png", "train_all_png", "")
POSES = ("normalized_pose_txt",)
_KEYS = ("source_image", "target_image")


def read(source: Source) -> list[ViewRow]:
    """Read train_data.json and test_data.json; each picture they pair is imported once."""
    lists = [(split, source.root / f"{split}_data.json") for split in ("train", "test")]
    lists = [(split, path) for split, path in lists if path.is_file()]
    if not lists:
        raise DataError(
            f"{source.root}: found no list, expected train_data.json or test_data.json. "
            "Check --root."
        )
    pictures, rows, splits = Pictures(source, FOLDERS), [], dict[PhotoName, str]()
    for split, path in lists:
        for entry in read_array(path, source.root):
            with source.ledger.row(entry.where):
                for photo, name in parse_entry(entry.value, source.options.strip_prefix):
                    if splits.setdefault(photo, split) != split:
                        raise RowError(f"found {shown(name)} in train and test, expected one.")
                    rows.append((entry, split, photo, name))
    return _views(source, pictures, rows)


def parse_entry(value: object, strip_prefix: str = "") -> list[tuple[PhotoName, str]]:
    """The two photographs of an entry; RowError when it is no pair of one person."""
    if not isinstance(value, dict) or any(key not in value for key in _KEYS):
        raise RowError(f"found {shown(value)}, expected an object with {' and '.join(_KEYS)}.")
    names = [safe_name(value[key], strip_prefix) for key in _KEYS]
    photos = [require_name(name) for name in names]
    if photos[0].subject != photos[1].subject:
        raise RowError("found two people or outfits, expected two pictures of one.")
    return list(zip(photos, names, strict=True))


def _views(
    source: Source, pictures: Pictures, rows: list[tuple[Entry, str, PhotoName, str]]
) -> list[ViewRow]:
    views: dict[PhotoName, ViewRow] = {}
    failed: set[PhotoName] = set()
    for entry, split, photo, name in rows:
        if photo in views or photo in failed:
            continue
        failed.add(photo)  # until it is made; a missing picture is reported once
        with source.ledger.row(entry.where):
            image = pictures.find(name, PurePosixPath(name).name)
            joints = _read_pose(pictures, name)
            views[photo] = ViewRow(
                where=entry.where,
                subject=photo.subject,
                split=split,
                image=image,
                keypoints=joints.keypoints,
                keypoint_valid=joints.valid,
                tags=photo.tags(),
            )
    if num := sum(not view.keypoint_valid.any() for view in views.values()):
        source.ledger.note(f"{num} of {len(views)} pictures have no keypoints: all joints missing")
    return list(views.values())


def _read_pose(pictures: Pictures, name: str) -> Joints:
    path = pictures.optional(PurePosixPath(name).with_suffix(".txt").name, POSES)
    return Joints(NO_KEYPOINTS, NONE_VALID) if path is None else unit_joints(read_pose_file(path))
