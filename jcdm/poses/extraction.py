"""Poses of many photographs: a JSON file a picture, as soon as it is found, and overlays.

A run that was cut goes on: pictures whose file says that the same detector has read the same
picture with the same choice are not read again.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from jcdm.data.images import load_image
from jcdm.data.pose_files import StoredPose, read_pose_file, write_pose_file
from jcdm.errors import DataError, MissingViewError
from jcdm.poses.choose import Choice, find_person
from jcdm.poses.detector import PoseDetector
from jcdm.poses.overlay import is_overlay, save_overlay
from jcdm.reading import UnreadableError, read_json

OnBad = Literal["error", "skip"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A picture, the JSON file for its pose, and the file for its overlay, if one is wanted."""

    name: str
    picture: Path
    pose: Path
    overlay: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Extracted:
    """What became of the jobs, by name: poses, how many were there before, and who has none."""

    poses: dict[str, StoredPose]
    num_reused: int
    skipped: tuple[tuple[str, str], ...]


def extract_poses(
    jobs: Sequence[Job],
    detector: PoseDetector,
    choice: Choice,
    *,
    on_bad: OnBad = "error",
    report: Callable[[int], object] = lambda _done: None,
) -> Extracted:
    """Find the person of every picture. `report` is told how many pictures are done.

    on_bad "skip": a picture that cannot be read, shows nobody, or several people under the rule
    "error", is left out and listed, and what an earlier run found in it is removed; "error": it
    ends the run as a DataError. A file that was written by something else is never replaced, which
    is a DataError always.
    """
    _refuse_foreign(jobs)
    poses: dict[str, StoredPose] = {}
    skipped: list[tuple[str, str]] = []
    num_reused = 0
    for number, job in enumerate(jobs, start=1):
        try:
            pose, was_there = _extract(job, detector, choice)
        except DataError as error:
            if on_bad == "error":
                raise
            skipped.append((job.name, str(error)))
        else:
            poses[job.name] = pose
            num_reused += was_there
        report(number)
    return Extracted(poses=poses, num_reused=num_reused, skipped=tuple(skipped))


def _extract(job: Job, detector: PoseDetector, choice: Choice) -> tuple[StoredPose, bool]:
    """Find or read back the pose of one picture; True where it was there before."""
    origin = _origin(job, detector, choice)
    if _stored_origin(job.pose) == origin:
        pose = read_pose_file(job.pose)[0]
        if job.overlay is not None and not job.overlay.is_file():
            save_overlay(job.overlay, load_image(job.picture), pose)
        return pose, True
    for outdated in (job.pose, job.overlay):
        if outdated is not None:
            outdated.unlink(missing_ok=True)
    picture = load_image(job.picture)
    person = find_person(detector, picture, str(job.picture), choice)
    pose = StoredPose(
        keypoints=person.body,
        size=(picture.height, picture.width),
        hands=person.hands,
        face=person.face,
        detector=detector.identity,
    )
    job.pose.parent.mkdir(parents=True, exist_ok=True)
    write_pose_file(job.pose, (pose,), origin=origin)
    if job.overlay is not None:
        save_overlay(job.overlay, picture, pose)
    return pose, False


def _origin(job: Job, detector: PoseDetector, choice: Choice) -> dict[str, Any]:
    """Say what a pose follows from: equal origins give equal poses."""
    try:
        with job.picture.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise MissingViewError(
            f"picture {job.picture} not found; expected the file that was listed."
        ) from None
    except OSError as error:
        raise DataError(f"picture {job.picture} cannot be read: {error.strerror}.") from None
    return {"picture_sha256": digest, "detector": detector.identity, "choice": asdict(choice)}


def _stored_origin(path: Path) -> Any:
    """Read what an earlier run has written beside a pose; None where there is none."""
    try:
        content = read_json(path)
    except FileNotFoundError:
        return None
    except (OSError, UnreadableError):
        content = None
    if not isinstance(content, dict) or "origin" not in content:
        raise DataError(
            f"{path} exists and was not written by poses extract; move it, or choose another --out."
        )
    return content["origin"]


def _refuse_foreign(jobs: Sequence[Job]) -> None:
    """Check before any work that no file of somebody else's would be replaced."""
    for job in jobs:
        _stored_origin(job.pose)
        if job.overlay is not None and job.overlay.exists() and not is_overlay(job.overlay):
            raise DataError(
                f"{job.overlay} exists and is no overlay of poses extract; move it, or choose "
                "another --overlays."
            )
