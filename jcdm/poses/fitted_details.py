"""Hands and face of a pose whose body was fitted to another."""

import numpy as np

from jcdm.data.pose_files import StoredPose
from jcdm.records import NUM_KEYPOINTS

_WRISTS = (7, 4)  # of the left and the right hand
_NOSE = 0


def fit_pose(
    pose: StoredPose,
    points: np.ndarray,
    size: tuple[int, int],
    *,
    hand_ratio: float,
    face_ratio: float,
) -> StoredPose:
    """Store fitted joints, points (18 or more,2) in pixels of a picture of `size`, and the rest.

    Hands move with the wrists and the face with the nose, multiplied by their ratios; where the
    joint they hang on is not seen, neither are they. Confidence stays as it was.
    """
    assert pose.size is not None
    frame = np.array(pose.size[::-1])
    before = pose.keypoints[:, :2] * frame
    seen = pose.keypoints[:, 2] > 0

    def store(fitted: np.ndarray, confidence: np.ndarray) -> np.ndarray:
        rows = np.concatenate([fitted / np.array(size[::-1]), confidence[:, None]], axis=1)
        return np.where(confidence[:, None] > 0, rows, 0)

    def hang(part: np.ndarray, joint: int, ratio: float) -> np.ndarray:
        away = part[:, :2] * frame - before[joint]
        return store(points[joint] + ratio * away, part[:, 2] * seen[joint])

    return StoredPose(
        keypoints=store(points[:NUM_KEYPOINTS], pose.keypoints[:, 2]),
        size=size,
        hands=None
        if pose.hands is None
        else np.stack(
            [hang(hand, wrist, hand_ratio) for hand, wrist in zip(pose.hands, _WRISTS, strict=True)]
        ),
        face=None if pose.face is None else hang(pose.face, _NOSE, face_ratio),
    )
