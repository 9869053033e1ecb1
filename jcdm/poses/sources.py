"""What poses are extracted from: a folder of pictures, or an index; and what is written of it."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from jcdm.data.importers.paths import SUFFIXES
from jcdm.data.index import write_index
from jcdm.data.keypoints import keep_in_frame
from jcdm.data.pose_files import StoredPose
from jcdm.errors import DataError
from jcdm.poses.extraction import Job
from jcdm.poses.overlay import OVERLAY_SUFFIX, is_overlay
from jcdm.records import SubjectRecord, ViewRecord


def folder_jobs(root: Path, out: Path, overlays: Path | None) -> list[Job]:
    """List the pictures of a folder and of those in it, by name: A/b.jpg -> A/b.json.

    Overlays of an earlier run are no pictures.
    Errors: DataError for a folder without pictures, or two that differ in the suffix alone.
    """
    if not root.is_dir():
        raise DataError(f"{root} is no folder; expected one of pictures.")
    names = sorted(
        path.relative_to(root).as_posix()
        for path in root.rglob("*")
        if path.suffix.lower() in SUFFIXES
        and not any(part.startswith(".") for part in path.relative_to(root).parts)
        and path.is_file()
        and not (path.suffix == OVERLAY_SUFFIX and is_overlay(path))
    )
    if not names:
        raise DataError(f"{root}: found no picture, expected {', '.join(SUFFIXES)} files.")
    return _name_jobs({name: root / name for name in names}, out, overlays)


def index_jobs(
    records: Sequence[SubjectRecord], index: Path, out: Path, overlays: Path | None
) -> list[Job]:
    """List the pictures of an index, each once, named by their place below their common folder."""
    pictures = sorted({Path(os.path.abspath(v.image)) for r in records for v in r.views})
    folder = os.path.commonpath([index.absolute().parent, *(path.parent for path in pictures)])
    named = {path.relative_to(folder).as_posix(): path for path in pictures}
    return _name_jobs(named, out, overlays)


def _name_jobs(pictures: Mapping[str, Path], out: Path, overlays: Path | None) -> list[Job]:
    owners: dict[Path, str] = {}
    for name in pictures:
        other = owners.setdefault(Path(name).with_suffix(".json"), name)
        if other != name:
            raise DataError(f"found {other} and {name}, whose poses have one name. Rename one.")
    return [
        Job(
            name=name,
            picture=pictures[name],
            pose=out / file,
            overlay=None if overlays is None else overlays / file.with_suffix(OVERLAY_SUFFIX),
        )
        for file, name in owners.items()
    ]


def write_filled_index(
    path: Path,
    records: Sequence[SubjectRecord],
    poses: Mapping[Path, StoredPose],
    generator: Mapping[str, object],
) -> int:
    """Write a copy of an index with the joints of `poses`, by picture; returns its views.

    Views without a pose are left out, and so are people without a view. Pose maps of the old joints
    are dropped. Errors: DataError when nothing is left.
    """
    filled = []
    for record in records:
        found = [(view, poses.get(Path(os.path.abspath(view.image)))) for view in record.views]
        views = tuple(_fill(view, pose) for view, pose in found if pose is not None)
        if views:
            filled.append(replace(record, views=views))
    if not filled:
        raise DataError(f"no view has a pose; expected at least one to write {path}.")
    write_index(path, filled, generator=generator)
    return sum(len(record.views) for record in filled)


def _fill(view: ViewRecord, pose: StoredPose) -> ViewRecord:
    points = pose.keypoints[:, :2].astype(np.float64)
    valid = keep_in_frame(points, pose.keypoints[:, 2] > 0)
    return replace(
        view,
        keypoints=np.where(valid[:, None], points, 0.0),
        keypoint_valid=valid,
        pose_map=None,
    )


def jobs_identity(jobs: Sequence[Job]) -> dict[str, str | int]:
    """Say which pictures were given: how many, and a checksum of their names."""
    names = "\n".join(job.name for job in jobs)
    return {"num_pictures": len(jobs), "names_sha256": hashlib.sha256(names.encode()).hexdigest()}
