"""Give the poses of one body to another: its bone lengths, its size and its place in the picture.

Every frame keeps the directions of its bones. A bone's length in a frame is multiplied, never set,
so that a bone that points at the camera still looks short.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jcdm.data.pose_files import StoredPose
from jcdm.errors import ConfigError, DataError
from jcdm.poses.fitted_details import fit_pose
from jcdm.poses.proportions import (
    BONES,
    MID_HIP,
    NECK,
    BoneRatio,
    PixelPoses,
    bone_lengths,
    compare_bones,
    pixel_poses,
)

QUANTILE = 0.75
"""Of a bone's lengths over a sequence; see `bone_lengths`.

Measured with drawn people who walk, turn and dance, fitted to one photograph of another: joints lie
0.9 % of the body's height from where the other body has them, 1.1 % with the median, 1.5 % with the
longest length, 3 % with the body's scale alone.
"""

_PARENTS = {end: (start, bone) for bone, ends in BONES.items() for start, end in ends}
_ORDER = tuple(_PARENTS)  # parents before children
_UNKNOWN = 1e-9  # pixels; hardly counts beside a bone whose length is known
_ANKLES = (10, 13)


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedSequence:
    """Poses in the reference's picture, and how they came about.

    scale: of the body, reference / driving in pixels; bones: of every bone. standing_on: what was
    brought to the reference's height in the picture: `feet`, `hips` or `neck`.
    """

    poses: tuple[StoredPose, ...]
    scale: float
    bones: Mapping[str, BoneRatio]
    standing_on: str

    @property
    def num_outside(self) -> int:
        """How many seen joints lie outside the reference's picture."""
        joints = np.stack([pose.keypoints for pose in self.poses])
        outside = ((joints[..., :2] < 0) | (joints[..., :2] > 1)).any(axis=-1)
        return int((outside & (joints[..., 2] > 0)).sum())


def retarget(
    driving: Sequence[StoredPose], reference: Sequence[StoredPose], *, quantile: float = QUANTILE
) -> FittedSequence:
    """Fit a sequence to the body that one or more frames of a reference show.

    The sequence moves about where the reference stands: the middle (median) of its ground line and
    of its place from left to right come to the reference's, and its motion is scaled as the body.
    quantile: see `bone_lengths`. Errors: DataError where sizes are unknown, or the two show no bone
    in common.
    """
    if not 0 <= quantile <= 1:
        raise ConfigError(f"quantile is {quantile}; expected a number from 0 to 1.")
    theirs, ours = pixel_poses(driving, "the sequence"), pixel_poses(reference, "the reference")
    lengths = bone_lengths(theirs, quantile)
    scale, bones = compare_bones(lengths, bone_lengths(ours, quantile))
    raw = _walk(theirs, bones, scale, lengths)
    across, _ = _shift(theirs, raw, ours, scale, axis=0)
    down, standing_on = _shift(theirs, raw, ours, scale, axis=1)
    fitted = raw + np.stack([across, down], axis=1)[:, None]
    return FittedSequence(
        poses=tuple(
            fit_pose(pose, points, ours.size, hand_ratio=scale, face_ratio=bones["eye"].ratio)
            for pose, points in zip(driving, fitted, strict=True)
        ),
        scale=scale,
        bones=bones,
        standing_on=standing_on,
    )


def describe_fit(fitted: FittedSequence) -> dict[str, Any]:
    """Say in plain JSON how a sequence was fitted: scale, ratio and source of every bone."""
    return {
        "scale": round(fitted.scale, 6),
        "standing_on": fitted.standing_on,
        "bones": {
            bone: {"ratio": round(found.ratio, 6), "source": found.source}
            for bone, found in fitted.bones.items()
        },
    }


def _walk(
    poses: PixelPoses, bones: Mapping[str, BoneRatio], scale: float, lengths: Mapping[str, float]
) -> np.ndarray:
    """Lay the bones of every frame on from the root outwards: points (F,19,2), before placing.

    A joint whose parent is not seen hangs on its nearest seen ancestor; the bones between count
    with their lengths.
    """
    root = MID_HIP if poses.seen[:, MID_HIP].any() else NECK
    points, seen = poses.points.copy(), poses.seen.copy()
    points[:, root] = _complete(poses, root)
    seen[:, root] = True
    fitted = np.zeros_like(points)
    fitted[:, root] = scale * points[:, root]
    for frame in range(len(points)):
        for joint in _ORDER:
            if joint == root or not seen[frame, joint]:
                continue
            parent, path = _nearest_seen(joint, seen[frame])
            weights = [lengths.get(bone, _UNKNOWN) for bone in path]
            ratio = np.average([bones[bone].ratio for bone in path], weights=weights)
            way = points[frame, joint] - points[frame, parent]
            fitted[frame, joint] = fitted[frame, parent] + ratio * way
    return fitted


def _nearest_seen(joint: int, seen: np.ndarray) -> tuple[int, list[str]]:
    """Find a joint's nearest seen ancestor (19,) and the bones that lead to it."""
    parent, bone = _PARENTS[joint]
    path = [bone]
    while not seen[parent]:
        if parent == MID_HIP:  # the root of most sequences; the neck is that of the others
            return NECK, path
        parent, bone = _PARENTS[parent]
        path.append(bone)
    return parent, path


def _complete(poses: PixelPoses, root: int) -> np.ndarray:
    """Fill in the root (F,2) where it is not seen: beside the neck, else in between over time."""
    track = np.where(poses.seen[:, [root]], poses.points[:, root], np.nan)
    if np.isnan(track).all():
        raise DataError(
            "the sequence shows neither both hips nor the neck in any frame; expected one of them, "
            "from which its other joints are laid on."
        )
    if root == MID_HIP:
        neck = np.where(poses.seen[:, [NECK]], poses.points[:, NECK], np.nan)
        beside = neck + _fill(track - neck)
        track = np.where(np.isnan(track), beside, track)
    return _fill(track)


def _fill(values: np.ndarray) -> np.ndarray:
    """Replace NaN along the first axis by what lies in between; (F,) or (F,2)."""
    if values.ndim == 2:
        return np.stack([_fill(column) for column in values.T], axis=1)
    known = np.flatnonzero(~np.isnan(values))
    if not known.size:
        return values
    return np.interp(np.arange(len(values)), known, values[known])


def _shift(
    theirs: PixelPoses, raw: np.ndarray, ours: PixelPoses, scale: float, *, axis: int
) -> tuple[np.ndarray, str]:
    """By how many pixels (F,) to move every frame along an axis, and what decides it."""
    for kind in ("hips", "neck") if axis == 0 else ("feet", "hips", "neck"):
        place = _anchor(ours.points, ours.seen, kind)[:, axis]
        before = _anchor(theirs.points, theirs.seen, kind)[:, axis]
        after = _anchor(raw, theirs.seen, kind)[:, axis]
        if np.isnan(place).all() or np.isnan(before).all():
            continue
        wanted = np.nanmedian(place) + scale * (before - np.nanmedian(before))
        return _fill(wanted - after), kind
    raise DataError(
        "the reference and the sequence show neither feet, hips nor neck in common; expected one "
        "of them, which says where the reference stands."
    )


def _anchor(points: np.ndarray, seen: np.ndarray, kind: str) -> np.ndarray:
    """Where feet (the lower one), hips or neck are in every frame: (F,2), NaN where not seen."""
    if kind != "feet":
        joint = MID_HIP if kind == "hips" else NECK
        return np.where(seen[:, [joint]], points[:, joint], np.nan)
    ankles, shown = points[:, _ANKLES], seen[:, _ANKLES]
    lower = np.where(shown[..., None], ankles, -np.inf).max(axis=1)
    return np.where(np.isfinite(lower), lower, np.nan)
