"""Lengths of a body's bones as pictures show them, and how they compare with another body's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from jcdm.data.pose_files import StoredPose
from jcdm.errors import DataError
from jcdm.records import NUM_KEYPOINTS

NECK, MID_HIP = 1, NUM_KEYPOINTS
"""The middle of the hips is an 18th point beside the 18 joints, numbered from 0."""

BONES: Mapping[str, tuple[tuple[int, int], ...]] = {
    "trunk": ((MID_HIP, NECK),),
    "hip": ((MID_HIP, 8), (MID_HIP, 11)),
    "thigh": ((8, 9), (11, 12)),
    "shin": ((9, 10), (12, 13)),
    "shoulder": ((NECK, 2), (NECK, 5)),
    "upper_arm": ((2, 3), (5, 6)),
    "forearm": ((3, 4), (6, 7)),
    "head": ((NECK, 0),),
    "eye": ((0, 14), (0, 15)),
    "ear": ((14, 16), (15, 17)),
}
"""Bones as (parent, child), right and left together: the tree of joints, from its root outwards."""

CORE = ("trunk", "thigh", "shin")
"""Bones that make up a body's height."""

LARGEST_DEVIATION = 1.6
"""Bodies differ in size, bones of two bodies hardly more than by this factor from their sizes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelPoses:
    """Poses of F frames of one size (height, width) in pixels.

    points (F,19,2): joints and the middle of the hips, x and y in pixels; seen (F,19) bool.
    """

    points: np.ndarray
    seen: np.ndarray
    size: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class BoneRatio:
    """By what a bone's length is multiplied, and how that is known.

    source: `measured`; `limited`, measured but beyond LARGEST_DEVIATION, as where the reference's
    bone points at the camera; or `body scale`, where one of the two bodies does not show the bone.
    """

    ratio: float
    source: Literal["measured", "limited", "body scale"]


def pixel_poses(poses: Sequence[StoredPose], name: str) -> PixelPoses:
    """Bring poses from [0,1] to pixels. Errors: DataError for poses without one common size."""
    sizes = {pose.size for pose in poses}
    size = sizes.pop()
    if sizes or size is None:
        found = "frames of different sizes" if sizes else "no 'size'"
        raise DataError(
            f"{name}: found {found}; expected one 'size': [height, width] in pixels, since bones "
            "are measured in pixels. Add it to the file."
        )
    joints = np.stack([pose.keypoints for pose in poses]).astype(np.float64)
    seen = joints[..., 2] > 0
    both_hips = seen[:, [8, 11]].all(axis=1, keepdims=True)
    points = joints[..., :2] * (size[1], size[0])
    middle = points[:, [8, 11]].mean(axis=1, keepdims=True)
    return PixelPoses(
        points=np.concatenate([points, middle], axis=1),
        seen=np.concatenate([seen, both_hips], axis=1),
        size=size,
    )


def bone_lengths(poses: PixelPoses, quantile: float) -> dict[str, float]:
    """Measure every bone that is seen: a quantile of its lengths over frames and both sides.

    A bone that points at the camera looks short, none looks long: 0.5 is the usual length that is
    seen, a quantile near 1 the length across the line of sight.
    """
    lengths = {}
    for bone, ends in BONES.items():
        found = [
            np.linalg.norm(poses.points[both, end] - poses.points[both, start], axis=1)
            for start, end in ends
            if (both := poses.seen[:, start] & poses.seen[:, end]).any()
        ]
        if found and (length := float(np.quantile(np.concatenate(found), quantile))) > 0:
            lengths[bone] = length
    return lengths


def compare_bones(
    driving: Mapping[str, float], reference: Mapping[str, float]
) -> tuple[float, dict[str, BoneRatio]]:
    """Compare two bodies' bone lengths: reference / driving of the whole body, and of every bone.

    The body's scale is the median over trunk, thigh and shin, or over all bones where none of
    those is known of both. Errors: DataError where no bone is known of both.
    """
    common = [bone for bone in BONES if bone in reference and bone in driving]
    measured = {bone: reference[bone] / driving[bone] for bone in common}
    if not measured:
        raise DataError(
            "the reference and the sequence show no bone in common; expected a reference with, at "
            "least, trunk or legs in the picture."
        )
    core = [measured[bone] for bone in CORE if bone in measured]
    scale = float(np.median(core or list(measured.values())))
    return scale, {bone: _bone_ratio(measured.get(bone), scale) for bone in BONES}


def _bone_ratio(measured: float | None, scale: float) -> BoneRatio:
    if measured is None:
        return BoneRatio(ratio=scale, source="body scale")
    limited = float(np.clip(measured, scale / LARGEST_DEVIATION, scale * LARGEST_DEVIATION))
    return BoneRatio(ratio=limited, source="measured" if limited == measured else "limited")
