"""Where the parts of a body are in a picture: torso, head, and limbs as hulls of a few points.

What is not known is completed only where the body leaves little choice, and every rule is here.
All lengths are shares of the person's stature, after Drillis and Contini (1966).
"""

from collections.abc import Iterator
from typing import Final

import numpy as np

from jcdm.evaluation.person_scores.stature import PixelPose

Parts = Iterator[tuple[str, np.ndarray]]

FEATURES: Final = ("nose", "right_eye", "left_eye")
EARS: Final = ("right_ear", "left_ear")
_BONES: Final = (
    ("upper_arm", "shoulder", "elbow"),
    ("forearm", "elbow", "wrist"),
    ("thigh", "hip", "knee"),
    ("shin", "knee", "ankle"),
)
_BEYOND: Final = {"forearm": 0.09, "shin": 0.04}  # hand and foot continue a limb so far
_HEAD, _TRUNK, _LEG = 0.115, 0.288, 0.245  # neck to middle of the head; shoulder to hip; half a leg
_HIPS_PER_SHOULDERS = 0.74  # of the breadths between the joints
PARTS_IDENTITY = repr((1, _BEYOND, _HEAD, _TRUNK, _LEG, _HIPS_PER_SHOULDERS))
"""Changes with the numbers here; the first is raised when a rule changes."""


def find_parts(body: PixelPose, height: int) -> Parts:
    """Name the parts of a body with a stature, with corner points (n,2) of each; n >= 1.

    height: of the picture in pixels. Hands and feet belong to forearms and shins.
    """
    if len(trunk := _trunk(body)):
        yield "torso", trunk
    if len(head := _head(body)):
        yield "head", head
        yield "neck", np.stack([_neck(body)[0], head.mean(0)])
    for part, start, end in _BONES:
        for side in ("right", "left"):
            bone = _bone(body, f"{side}_{start}", f"{side}_{end}", height)
            if len(bone):
                yield part, _lengthened(bone, _BEYOND.get(part, 0.0) * body.stature)


def _trunk(body: PixelPose) -> np.ndarray:
    """Corners of the torso: neck, shoulders and hips, (n,2); nothing without a top.

    A shoulder opposite a known one is mirrored at the neck, or is as far from it as hip from hip; a
    hip likewise. Without hips, they are straight below what is known at the top.
    """
    neck = _neck(body)
    shoulders = [body.find(f"{side}_shoulder") for side in ("right", "left")]
    hips = [body.find(f"{side}_hip") for side in ("right", "left")]
    across = _across(shoulders, neck, hips)
    shoulders = _complete(shoulders, across)
    hips = _complete(hips, _HIPS_PER_SHOULDERS * across)
    top = np.concatenate([body.find("neck"), *shoulders])
    top = top if len(top) else neck
    bottom = np.concatenate(hips)
    if not len(bottom):
        bottom = _below(top, _TRUNK * body.stature)
    return np.concatenate([top, bottom]) if len(top) else top


def _neck(body: PixelPose) -> np.ndarray:
    """The neck (1,2), or the place straight below the ears, or else below the face; or nothing."""
    if len(neck := body.find("neck")):
        return neck
    for names in (EARS, FEATURES):
        if len(found := body.find(*names)):
            return _below(found.mean(0, keepdims=True), _HEAD * body.stature)
    return neck


def _across(shoulders: list[np.ndarray], neck: np.ndarray, hips: list[np.ndarray]) -> np.ndarray:
    """Way from the right shoulder to the left one (2,); zero where nothing tells it."""
    right, left = shoulders
    if len(right) and len(left):
        return left[0] - right[0]
    if len(neck) and len(right):
        return 2 * (neck[0] - right[0])
    if len(neck) and len(left):
        return 2 * (left[0] - neck[0])
    if len(hips[0]) and len(hips[1]):
        return (hips[1][0] - hips[0][0]) / _HIPS_PER_SHOULDERS
    return np.zeros(2)


def _complete(pair: list[np.ndarray], across: np.ndarray) -> list[np.ndarray]:
    """Add the other one to a known right or left joint."""
    right, left = pair
    return [right if len(right) else left - across, left if len(left) else right + across]


def _head(body: PixelPose) -> np.ndarray:
    """Points in the head (n,2): mean of nose and eyes, mean of ears, and above the neck.

    Above is away from the hips, or up where they are not known.
    """
    points = [found.mean(0) for found in (body.find(*FEATURES), body.find(*EARS)) if len(found)]
    if len(neck := body.find("neck")):
        hips = body.find("right_hip", "left_hip")
        lower = hips.mean(0) if len(hips) else _below(neck[0], 1.0)
        upwards = _unit(neck[0] - lower)
        points.append(neck[0] + upwards * _HEAD * body.stature)
    return np.array(points).reshape(-1, 2)


def _bone(body: PixelPose, start: str, end: str, height: int) -> np.ndarray:
    """Both ends of a bone (2,2), or nothing.

    A knee or ankle is taken to be straight below, if that place is below the picture: many
    pictures of the field end at the thighs.
    """
    bone = body.find(start, end)
    if len(bone) == 1 and start.endswith(("hip", "knee")) and len(body.find(start)):
        below = _below(bone[0], _LEG * body.stature)
        return np.stack([bone[0], below]) if below[1] > height else bone[:0]
    return bone if len(bone) == 2 else bone[:0]


def _lengthened(bone: np.ndarray, more: float) -> np.ndarray:
    return np.stack([bone[0], bone[1] + _unit(bone[1] - bone[0]) * more])


def _below(points: np.ndarray, pixels: float) -> np.ndarray:
    """Move points (...,2) down in the picture."""
    return points + np.array([0.0, pixels])


def _unit(way: np.ndarray) -> np.ndarray:
    return way / max(float(np.linalg.norm(way)), 1e-6)
