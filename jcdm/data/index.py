"""Read, check and write an index: the JSON file that lists every subject, view and pose.

{"format": "jcdm-index", "version": 1, "generator": {...}?, "subjects": [{"subject": str,
"split": str, "views": [{"image": path, "keypoints": [[x, y] * 18], "keypoint_valid": [bool * 18],
"pose_map": path?, "tags": {...}?}]}]}. Paths are absolute or relative to the index file.
"""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from jcdm.errors import DataError, MissingViewError
from jcdm.reading import UnreadableError, read_json
from jcdm.records import NUM_KEYPOINTS, SubjectRecord, ViewRecord

FORMAT = "jcdm-index"
VERSION = 1
_REPAIR = "Write the file again with: python -m jcdm data import, or data synth."


def read_index(path: Path | str, split: str | None = None) -> tuple[SubjectRecord, ...]:
    """Read the subjects of one split, or of all; whether pictures exist: see `require_files`.

    Errors: DataError with the first thing that is wrong, naming subject and view.
    """
    path = Path(path)
    records = _read_version(path, _file_version(path))
    if split is None:
        return records
    chosen = tuple(record for record in records if record.split == split)
    if not chosen:
        found = ", ".join(f"{n!r} ({c})" for n, c in Counter(r.split for r in records).items())
        raise DataError(
            f"{path}: no subject has split {split!r}; found {found}. Set data.split to one of them."
        )
    return chosen


@lru_cache(maxsize=4)
def _read_version(path: Path, _version: tuple[int, int]) -> tuple[SubjectRecord, ...]:
    """Read a version of the file once: a run asks for two splits and for the identity."""
    return tuple(parse_subject(e, i, path) for i, e in enumerate(read_entries(path)))


def _file_version(path: Path) -> tuple[int, int]:
    """Time and size of a file; zeros where there is none, which reading it will report."""
    try:
        facts = path.stat()
    except OSError:
        return 0, 0
    return facts.st_mtime_ns, facts.st_size


def read_entries(path: Path) -> list[Any]:
    """Read the list "subjects" as it stands in the file, after checking format and version."""
    document = _expect_keys(
        _load_json(path),
        str(path),
        required=("format", "version", "subjects"),
        optional=("generator",),
    )
    found, version = document["format"], document["version"]
    if (found, version) != (FORMAT, VERSION) or isinstance(version, bool):
        raise DataError(
            f"{path}: found format {_shown(found)} version {_shown(version)}, "
            f"expected {FORMAT!r} version {VERSION}. {_REPAIR}"
        )
    entries = document["subjects"]
    if not isinstance(entries, list) or not entries:
        raise DataError(f'{path}: "subjects" must be a list with at least one subject. {_REPAIR}')
    return entries


def parse_subject(entry: object, position: int, path: Path) -> SubjectRecord:
    """Check the entry number `position` of the index `path` and make it a record."""
    subject, split, views = parse_header(entry, position, path)
    parsed = tuple(parse_view(view, subject, i, path) for i, view in enumerate(views))
    return SubjectRecord(subject=subject, split=split, views=parsed)


def parse_header(entry: object, position: int, path: Path) -> tuple[str, str, list[Any]]:
    """Return name, split and unread views of a subject's entry."""
    where = f"{path}: subject number {position}"
    fields = _expect_keys(entry, where, required=("subject", "split", "views"))
    subject, split, views = fields["subject"], fields["split"], fields["views"]
    for name, value in (("subject", subject), ("split", split)):
        if not isinstance(value, str) or not value:
            raise DataError(f'{where}: "{name}" is {_shown(value)}, expected a word. {_REPAIR}')
    if not isinstance(views, list) or not views:
        raise DataError(
            f'{path}: subject {subject!r}: "views" is {_shown(views)}, expected one or more in a '
            f"list. {_REPAIR}"
        )
    return subject, split, views


def parse_view(entry: object, subject: str, position: int, path: Path) -> ViewRecord:
    """Check view number `position` of a subject and make it a record with full paths."""
    where = f"{path}: subject {subject!r}, view {position}"
    fields = _expect_keys(
        entry,
        where,
        required=("image", "keypoints", "keypoint_valid"),
        optional=("pose_map", "tags"),
    )
    tags = fields.get("tags", {})
    if not isinstance(tags, dict):
        raise DataError(f'{where}: "tags" is {_shown(tags)}, expected an object. {_REPAIR}')
    pose_map = fields.get("pose_map")
    return ViewRecord(
        image=_parse_path(fields["image"], f'{where}: "image"', path),
        keypoints=_parse_keypoints(fields["keypoints"], where),
        keypoint_valid=_parse_flags(fields["keypoint_valid"], where),
        pose_map=None if pose_map is None else _parse_path(pose_map, f'{where}: "pose_map"', path),
        tags=tags,
    )


def require_files(records: Iterable[SubjectRecord]) -> None:
    """Raise a MissingViewError unless every picture that the records name is on disk."""
    paths = [p for r in records for v in r.views for p in (v.image, v.pose_map) if p is not None]
    missing = [p for p in paths if not os.path.isfile(p)]
    if missing:
        raise MissingViewError(
            f"{len(missing)} of {len(paths)} pictures named by the index not found, first: "
            f"{missing[0]}. Put them there, or list all problems with: python -m jcdm data check."
        )


def write_index(
    path: Path | str,
    records: Sequence[SubjectRecord],
    *,
    generator: Mapping[str, object] | None = None,
) -> None:
    """Write records as an index file; the file appears complete or not at all.

    Pictures inside the index's folder are named relative to it, others by their full path.
    `generator` says what made the data (name, version, seed).
    """
    path = Path(path)
    document: dict[str, object] = {"format": FORMAT, "version": VERSION}
    if generator is not None:
        document["generator"] = dict(generator)
    document["subjects"] = [
        {"subject": r.subject, "split": r.split, "views": [_view_entry(v, path) for v in r.views]}
        for r in records
    ]
    write_atomically(path, json.dumps(document, separators=(",", ":"), allow_nan=False) + "\n")


def photograph_name(picture: Path, folder: Path) -> str:
    """Name a photograph by its path from the index's folder, or by its whole path elsewhere."""
    full = Path(picture).absolute()
    return full.relative_to(folder).as_posix() if full.is_relative_to(folder) else full.as_posix()


def index_identity(path: Path | str) -> dict[str, str | int]:
    """Say which data an index is: sha256 of the file, num_subjects and num_views."""
    path = Path(path)
    records = read_index(path)
    return {
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "num_subjects": len(records),
        "num_views": sum(len(record.views) for record in records),
    }


def _load_json(path: Path) -> object:
    try:
        return read_json(path)
    except FileNotFoundError:
        raise DataError(
            f"index {path} not found. Check data.index, or make one: python -m jcdm data synth."
        ) from None
    except (OSError, UnreadableError) as error:  # JSON errors tell line and column
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path} is not a readable JSON file: {reason}. {_REPAIR}") from None


def _expect_keys(
    entry: object, where: str, *, required: Sequence[str], optional: Sequence[str] = ()
) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise DataError(f"{where}: found {_shown(entry)}, expected an object. {_REPAIR}")
    if missing := [key for key in required if key not in entry]:
        raise DataError(f"{where}: key {missing[0]!r} is missing. {_REPAIR}")
    if unknown := [key for key in entry if key not in (*required, *optional)]:
        known = ", ".join((*required, *optional))
        found = _shown(unknown[0])
        raise DataError(f"{where}: unknown key {found}, expected only {known}. {_REPAIR}")
    return entry


def _parse_path(value: object, what: str, index: Path) -> Path:
    try:
        if not isinstance(value, str) or not value or "\0" in value:
            raise ValueError
        os.fsencode(value)
    except ValueError:
        raise DataError(f"{what} is {_shown(value)}, expected a path. {_REPAIR}") from None
    return index.parent / value


def _parse_keypoints(value: Any, where: str) -> np.ndarray:
    try:
        if not all(type(x) in (int, float) for pair in value for x in pair):
            raise ValueError
        keypoints = np.array(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        keypoints = np.empty(0)
    if keypoints.shape != (NUM_KEYPOINTS, 2) or not np.isfinite(keypoints).all():
        raise DataError(
            f'{where}: "keypoints" must be {NUM_KEYPOINTS} pairs of finite numbers (x, y in [0, 1],'
            f" OpenPose-18 order), found {_shown(value)}. {_REPAIR}"
        )
    return keypoints


def _parse_flags(value: Any, where: str) -> np.ndarray:
    is_list = isinstance(value, list) and len(value) == NUM_KEYPOINTS
    if not is_list or not all(isinstance(flag, bool) for flag in value):
        raise DataError(
            f'{where}: "keypoint_valid" must be {NUM_KEYPOINTS} times true or false, '
            f"found {_shown(value)}. {_REPAIR}"
        )
    return np.array(value, dtype=bool)


def _shown(value: object) -> str:
    """Describe a wrong value in a few words."""
    if isinstance(value, list | dict):
        return f"a {'list' if isinstance(value, list) else 'object'} of {len(value)}"
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _view_entry(view: ViewRecord, index: Path) -> dict[str, object]:
    entry: dict[str, object] = {
        "image": _named(view.image, index),
        "keypoints": view.keypoints.tolist(),
        "keypoint_valid": view.keypoint_valid.tolist(),
    }
    if view.pose_map is not None:
        entry["pose_map"] = _named(view.pose_map, index)
    if view.tags:
        entry["tags"] = dict(view.tags)
    return entry


def _named(picture: Path, index: Path) -> str:
    """Name a picture relative to the index where it lies below it; as text, for there are many."""
    full, folder = os.path.abspath(picture), os.path.join(os.path.abspath(index.parent), "")
    return full.removeprefix(folder).replace(os.sep, "/")


def write_atomically(path: Path, text: str) -> None:
    """Write a text file that appears complete or not at all. Errors: DataError."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise DataError(
            f"cannot write {path}: {error.strerror}. Choose a writable folder."
        ) from None
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
