"""The 18 OpenPose joints: their order, their mirror image, and the numbers the prior is given."""

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

JOINT_NAMES = (
    "nose",
    "neck",
    "right_shoulder",
    "right_elbow",
    "right_wrist",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
    "right_hip",
    "right_knee",
    "right_ankle",
    "left_hip",
    "left_knee",
    "left_ankle",
    "right_eye",
    "left_eye",
    "right_ear",
    "left_ear",
)
FLIP_PERMUTATION = (0, 1, 5, 6, 7, 2, 3, 4, 11, 12, 13, 8, 9, 10, 15, 14, 17, 16)
"""Joint that takes the place of each joint in a mirrored picture: left and right change roles."""

NUM_HAND_JOINTS = 21
HAND_EDGES = tuple(
    (0 if step == 0 else 4 * finger + step, 4 * finger + step + 1)
    for finger in range(5)
    for step in range(4)
)
"""Lines of a hand: from the wrist (0) along thumb, index, middle, ring and little finger."""

NUM_FACE_POINTS = 68
FACE_FLIP_PERMUTATION = (
    *range(16, -1, -1),  # jaw
    *range(26, 16, -1),  # brows
    *range(27, 31),  # bridge of the nose
    *range(35, 30, -1),  # nostrils
    *(45, 44, 43, 42, 47, 46),  # eyes: corner, upper lid, corner, lower lid
    *(39, 38, 37, 36, 41, 40),
    *range(54, 47, -1),  # lips, outer and inner
    *range(59, 54, -1),
    *range(64, 59, -1),
    *range(67, 64, -1),
)
"""Point that takes the place of each of the 68 points of a face (iBUG order) when mirrored."""

MISSING = -1.0
"""What stands for both coordinates of a joint that was not seen."""


def flip_keypoints(keypoints: np.ndarray, valid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mirror a pose left to right: keypoints (K,2) in [0,1] and valid (K,), both permuted.

    Applied twice it gives the pose it was given.
    """
    permutation = list(FLIP_PERMUTATION)
    mirrored = keypoints[permutation]
    return np.stack([1 - mirrored[:, 0], mirrored[:, 1]], axis=1), valid[permutation]


def flip_hands(hands: np.ndarray) -> np.ndarray:
    """Mirror hands (2,21,3), left then right: x, y in [0,1] and confidence. They change places."""
    return _mirror(hands[::-1])


def flip_face(face: np.ndarray) -> np.ndarray:
    """Mirror a face (68,3): x, y in [0,1] and confidence, its points permuted."""
    return _mirror(face[list(FACE_FLIP_PERMUTATION)])


def _mirror(points: np.ndarray) -> np.ndarray:
    mirrored = points.copy()
    mirrored[..., 0] = 1 - mirrored[..., 0]
    return mirrored


def keep_in_frame(keypoints: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Valid joints (K,) that lie within the picture: x and y in [0,1]."""
    return valid & ((keypoints >= 0) & (keypoints <= 1)).all(axis=-1)


def flatten_pose(keypoints: Tensor, valid: Tensor) -> Tensor:
    """Lay a pose out as x0, y0, x1, ...: (...,K,2) and (...,K) -> (...,2K).

    A missing joint is -1, -1: outside the picture, so that it is no joint in the corner.
    """
    known = torch.where(valid[..., None], keypoints, MISSING)
    return rearrange(known, "... k xy -> ... (k xy)")
