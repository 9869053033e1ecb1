"""Your own photographs: a folder a person; keypoints are left missing."""

import os
from pathlib import Path

from jcdm.data.importers.base import RowError, Source, ViewRow
from jcdm.data.importers.joints import NO_KEYPOINTS, NONE_VALID
from jcdm.data.importers.paths import SUFFIXES, Pictures, safe_name
from jcdm.errors import DataError


def read(source: Source) -> list[ViewRow]:
    """Read every folder of the root as one person; pictures in the root itself are one, too."""
    root = source.root
    pictures, rows = Pictures(source, ("",)), list[ViewRow]()
    num_others = 0
    for folder in (root, *sorted(path for path in root.iterdir() if path.is_dir())):
        person = root.absolute().name if folder == root else folder.name
        for name in sorted(os.listdir(folder)):
            path = folder / name
            if path.is_dir() or name.startswith("."):
                continue
            if path.suffix.lower() not in SUFFIXES:
                num_others += 1
                continue
            where = path.relative_to(root).as_posix()
            with source.ledger.row(where):
                rows.append(_view(source, pictures, where, person))
    if not rows:
        raise DataError(
            f"{root}: found no picture, expected a folder a person with {', '.join(SUFFIXES)} "
            "files. Check --root."
        )
    source.ledger.note("the format has no keypoints: all joints missing")
    if num_others:
        source.ledger.note(f"{num_others} files are no pictures: left out")
    return rows


def _view(source: Source, pictures: Pictures, where: str, person: str) -> ViewRow:
    if not person.isprintable():
        raise RowError(f"found the folder name {person!a}, expected plain text.")
    return ViewRow(
        where=where,
        subject=person,
        split=source.options.split,
        image=pictures.find(safe_name(where)),
        keypoints=NO_KEYPOINTS,
        keypoint_valid=NONE_VALID,
        tags={"view": Path(where).stem},
    )
