"""Sequences for the test of motion: read, cut to the model's size, and measured along time."""

from dataclasses import dataclass

import numpy as np

from jcdm.data.images import load_image
from jcdm.data.keypoints import keep_in_frame
from jcdm.data.pose_maps import draw_pose_map
from jcdm.data.transforms import Fit, fit_view
from jcdm.errors import DataError
from jcdm.evaluation.metrics import define_score
from jcdm.records import SubjectRecord

FLICKER = define_score(
    "flicker",
    "zero",
    "Mean absolute change from one painted frame to the next, minus that of the true frames, "
    "pixels in [0,1], mean over neighbouring scored frames; above 0 = less steady than the truth, "
    "below 0 = too still.",
)
CHANGE_ERROR = define_score(
    "change error",
    "down",
    "Mean absolute difference between the change from one painted frame to the next and the change "
    "of the true frames, pixel by pixel in [0,1], mean over neighbouring scored frames.",
)
DRIFT = define_score(
    "drift",
    "zero",
    "L1 of the last quarter of a sequence's scored frames minus L1 of the first quarter; above 0 = "
    "the painting leaves the truth as time passes.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameSequence:
    """A person in motion, cut to the model's size.

    frames, poses (F,H,W,3) uint8; keypoints (F,K,3): x, y in [0,1] and whether the joint is seen.
    `references`: the frames given to the model, which no score looks at.
    """

    name: str
    frames: np.ndarray
    poses: np.ndarray
    keypoints: np.ndarray
    references: tuple[int, ...]

    @property
    def scored(self) -> np.ndarray:
        """Which frames are scored: all that were not given, (F,) bool."""
        return ~np.isin(np.arange(len(self.frames)), self.references)


def read_sequence(
    record: SubjectRecord, size: tuple[int, int], fit: Fit, num_references: int
) -> FrameSequence:
    """Read a sequence and choose its references: frames evenly spread, the first among them.

    Errors: DataError when the sequence has too few frames to leave two of them to paint.
    """
    num_frames = len(record.views)
    if num_frames < num_references + 2:
        raise DataError(
            f"sequence {record.subject!r} has {num_frames} frames, expected at least "
            f"{num_references + 2}: sample.num_references and two to paint. Use longer sequences."
        )
    pictures, poses, keypoints = [], [], []
    for view in record.views:
        picture, placement = fit_view(load_image(view.image), size, fit)
        points, valid = placement.place_keypoints(view.keypoints, view.keypoint_valid)
        pictures.append(np.asarray(picture))
        poses.append(draw_pose_map(points, valid, *size))
        seen = keep_in_frame(points, valid)
        keypoints.append(np.concatenate([points, seen[:, None]], axis=1))
    spread = (np.arange(num_references) * num_frames) // num_references
    return FrameSequence(
        name=record.subject,
        frames=np.stack(pictures),
        poses=np.stack(poses),
        keypoints=np.stack(keypoints),
        references=tuple(spread.tolist()),
    )


def measure_frames(
    painted: np.ndarray, truth: np.ndarray, scored: np.ndarray
) -> dict[str, list[float]]:
    """Measure along time: painted, truth (F,H,W,3) uint8; scored (F,) bool.

    Neighbours count where both are scored. Returns flicker and change error a pair, drift once.
    """
    ours, true = painted / 255.0, truth / 255.0
    pairs = np.flatnonzero(scored[1:] & scored[:-1])
    steps, true_steps = ours[pairs + 1] - ours[pairs], true[pairs + 1] - true[pairs]
    axes = (1, 2, 3)
    errors = np.abs(ours - true).mean(axes)[scored]
    quarter = max(1, len(errors) // 4)
    return {
        FLICKER.name: (np.abs(steps).mean(axes) - np.abs(true_steps).mean(axes)).tolist(),
        CHANGE_ERROR.name: np.abs(steps - true_steps).mean(axes).tolist(),
        DRIFT.name: [float(errors[-quarter:].mean() - errors[:quarter].mean())],
    }


def copy_nearest_frame(sequence: FrameSequence) -> np.ndarray:
    """Paint every frame as a copy of the reference nearest in pose: (F,H,W,3) uint8."""
    points, seen = sequence.keypoints[..., :2], sequence.keypoints[..., 2] > 0
    given = list(sequence.references)
    distances = np.linalg.norm(points[:, None] - points[given], axis=-1)
    both = seen[:, None] & seen[given]
    total = np.where(both, distances, 0).sum(-1)
    mean = np.where(both.any(-1), total / np.maximum(both.sum(-1), 1), np.finfo(np.float64).max)
    return sequence.frames[np.asarray(given)[mean.argmin(axis=1)]]
