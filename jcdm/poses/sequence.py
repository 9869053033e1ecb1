"""A film -> the poses of one person in it, frame by frame."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from jcdm.data.keypoints import NUM_FACE_POINTS, NUM_HAND_JOINTS
from jcdm.data.pose_files import StoredPose, write_pose_file
from jcdm.errors import ConfigError, DataError
from jcdm.poses.choose import Choice
from jcdm.poses.detector import DetectedPerson, PoseDetector
from jcdm.poses.film import FilmFrame
from jcdm.poses.follow import Follower
from jcdm.poses.tracks import bridge_gaps, smooth_points
from jcdm.reading import UnreadableError, read_json
from jcdm.records import NUM_KEYPOINTS

_BODY = slice(0, NUM_KEYPOINTS)
_HANDS = slice(NUM_KEYPOINTS, NUM_KEYPOINTS + 2 * NUM_HAND_JOINTS)
_FACE = slice(_HANDS.stop, _HANDS.stop + NUM_FACE_POINTS)
_SHOWN_GAPS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceOptions:
    """How to follow a person.

    choice: whom, where the first frame shows several, and which joints are sure enough. max_gap:
    frames that may be bridged. long_gaps: whether frames that stay without the person are an error,
    or are stored as poses without a joint. smoothing: seconds, 0 = none; see `smooth_points`.
    """

    choice: Choice = field(default_factory=Choice)
    max_gap: int = 3
    long_gaps: Literal["error", "unseen"] = "error"
    smoothing: float = 0.0

    def __post_init__(self) -> None:
        if self.max_gap < 0:
            raise ConfigError(f"max_gap is {self.max_gap}; expected a number of frames, 0 or more.")
        if not 0 <= self.smoothing < math.inf:
            raise ConfigError(f"smoothing is {self.smoothing}; expected seconds, 0 or more.")


@dataclass(frozen=True, slots=True, kw_only=True)
class PoseSequence:
    """Poses of F frames, and when each is shown, in seconds.

    bridged, unseen: numbers of the frames in which the person was not found and which were filled
    in between their neighbours, or not. detector: the identity of what found the joints.
    """

    poses: tuple[StoredPose, ...]
    seconds: tuple[float, ...]
    bridged: tuple[int, ...]
    unseen: tuple[int, ...]
    detector: str


def find_sequence(
    frames: Iterable[FilmFrame], detector: PoseDetector, options: SequenceOptions, name: str
) -> PoseSequence:
    """Find one person in every frame, errors calling the film `name`; frames are read once.

    Errors: DataError for a film that shows nobody, for several people in the first frame under the
    rule "error", and for frames without the person that `options` does not allow.
    """
    follower = Follower(options.choice)
    found: list[DetectedPerson | None] = []
    seconds, sizes = [], []
    for frame in frames:
        picture = frame.picture
        place = f"{name} at {frame.seconds:.2f} s"
        people = detector.detect(picture)
        found.append(follower.find(people, picture.width / picture.height, place))
        seconds.append(frame.seconds)
        sizes.append((picture.height, picture.width))
    if not any(found):
        raise DataError(
            f"{name}: found no person in any of {len(found)} frames, with joints as sure as "
            f"{options.choice.min_confidence:g}. Check --start, --end and --min_confidence."
        )
    points, _ = bridge_gaps(_stack(found), np.array(seconds), options.max_gap)
    points = smooth_points(points, np.array(seconds), options.smoothing)
    empty = points[:, _BODY, 2].max(axis=1) == 0
    _check_gaps(empty, seconds, options, name)
    missed = np.array([person is None for person in found])
    return PoseSequence(
        poses=_unstack(points, sizes, found),
        seconds=tuple(seconds),
        bridged=tuple(np.flatnonzero(missed & ~empty).tolist()),
        unseen=tuple(np.flatnonzero(empty).tolist()),
        detector=detector.identity,
    )


def write_sequence(path: Path, sequence: PoseSequence, **more: Any) -> None:
    """Write a sequence as `read_pose_file` reads it; times and gaps stand beside the frames."""
    write_pose_file(
        path,
        sequence.poses,
        detector=sequence.detector,
        seconds=[round(time, 6) for time in sequence.seconds],
        bridged=list(sequence.bridged),
        unseen=list(sequence.unseen),
        **more,
    )


def read_timing(path: Path) -> dict[str, Any]:
    """Read what a pose file says of time, `fps` and `seconds`, to be written into another one."""
    try:
        content = read_json(path)
    except UnreadableError as error:
        raise DataError(f"{path} cannot be read as JSON: {error}; expected poses.") from None
    keys = ("fps", "seconds") if isinstance(content, dict) else ()
    return {key: content[key] for key in keys if key in content}


def _stack(found: Sequence[DetectedPerson | None]) -> np.ndarray:
    """Lay all points of all frames in one array (F,128,3): body, hands, face, 0 where unseen."""
    points = np.zeros((len(found), _FACE.stop, 3))
    for number, person in enumerate(found):
        if person is not None:
            points[number, _BODY] = person.body
            if person.hands is not None:
                points[number, _HANDS] = person.hands.reshape(-1, 3)
            if person.face is not None:
                points[number, _FACE] = person.face
    return points


def _unstack(
    points: np.ndarray, sizes: Sequence[tuple[int, int]], found: Sequence[DetectedPerson | None]
) -> tuple[StoredPose, ...]:
    """Cut points (F,128,3) into poses; hands or face are None where the detector found none."""
    known = [person for person in found if person is not None]
    has_hands = any(person.hands is not None for person in known)
    has_face = any(person.face is not None for person in known)
    return tuple(
        StoredPose(
            keypoints=row[_BODY],
            size=size,
            hands=row[_HANDS].reshape(2, NUM_HAND_JOINTS, 3) if has_hands else None,
            face=row[_FACE] if has_face else None,
        )
        for row, size in zip(points, sizes, strict=True)
    )


def _check_gaps(
    empty: np.ndarray, seconds: Sequence[float], options: SequenceOptions, name: str
) -> None:
    """Raise a DataError for frames without the person, unless they may stay so."""
    if options.long_gaps == "unseen" or not empty.any():
        return
    edges = np.flatnonzero(np.diff(np.concatenate([[0], empty, [0]])))
    gaps = list(zip(edges[::2], edges[1::2] - 1, strict=True))
    shown = "; ".join(
        f"frames {first} to {last} ({seconds[first]:.2f} to {seconds[last]:.2f} s)"
        for first, last in gaps[:_SHOWN_GAPS]
    )
    raise DataError(
        f"{name}: the person is not seen in {shown}{'; ...' if len(gaps) > _SHOWN_GAPS else ''}, "
        f"and only gaps of up to {options.max_gap} frames between two sightings are bridged. Cut "
        "by --start and --end, raise --max_gap, or keep empty poses by --long_gaps=unseen."
    )
