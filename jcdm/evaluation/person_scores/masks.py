"""Masks of a person, its face and its clothes, made from the joints alone.

After the pose mask of Ma et al. (2017), "Pose Guided Person Image Generation": joints joined and
dilated. A part is the hull of its points dilated by a disc, whose radius is a share of the person's
stature in the picture (`PixelPose`).
"""

import hashlib
from collections.abc import Iterable, Mapping

import cv2
import numpy as np

from jcdm.evaluation.person_scores.parts import EARS, FEATURES, PARTS_IDENTITY, find_parts
from jcdm.evaluation.person_scores.stature import STATURE_IDENTITY, PixelPose

Size = tuple[int, int]
Radii = Mapping[str, float]

_PERSON: Radii = {
    "torso": 0.065,
    "neck": 0.050,
    "head": 0.075,
    "upper_arm": 0.045,
    "forearm": 0.040,
    "thigh": 0.070,
    "shin": 0.055,
}
"""Radius of each part of a person's mask, in statures."""
_GARMENT: Radii = {"torso": 0.030, "upper_arm": 0.030, "thigh": 0.045}
_FACE = 0.055
_SHIFT = 4  # binary digits after the point of the coordinates given to OpenCV
_FARTHEST = 2.0**14  # pixels; keeps wild coordinates inside OpenCV's integers

MASK_IDENTITY = hashlib.sha256(
    repr((1, _PERSON, _GARMENT, _FACE, PARTS_IDENTITY, STATURE_IDENTITY)).encode()
).hexdigest()[:12]
"""Changes with the masks' numbers; the first is raised when the drawing changes."""


def person_mask(pose: np.ndarray, size: Size) -> np.ndarray | None:
    """Cover the whole person: pose (18,3), size (H,W) -> (H,W) bool, True = person.

    Parts whose joints are not known are left out (`find_parts` says what is completed). None where
    no two neighbouring joints are known, or nothing of the person is inside the picture.
    """
    return _mask(pose, size, _PERSON)


def garment_mask(pose: np.ndarray, size: Size) -> np.ndarray | None:
    """Cover what is nearly always clothed, torso, upper arms and thighs: (H,W) bool.

    Thinner than the person, so that little else is inside; no forearm, hand, shin, foot, and the
    face is cut out. None where none of these parts has its joints, or none is in the picture.
    """
    mask, face = _mask(pose, size, _GARMENT), face_mask(pose, size)
    if mask is None or face is None:
        return mask
    clothed = mask & ~face
    return clothed if clothed.any() else None


def face_mask(pose: np.ndarray, size: Size) -> np.ndarray | None:
    """Cover the face by a disc: (H,W) bool; None without `face_circle`, or outside the picture."""
    if (circle := face_circle(pose, size)) is None:
        return None
    middle, radius = circle
    return _paint([(middle[None], radius)], size)


def face_circle(pose: np.ndarray, size: Size) -> tuple[np.ndarray, float] | None:
    """Middle (2,) and radius of a face in pixels: the mean of nose, eyes and ears that are known.

    None where the nose or both eyes are not known: a head seen from behind has no face.
    """
    body = PixelPose.measure(pose, size)
    if body is None or not len(body.find("nose")) or not len(body.find("right_eye", "left_eye")):
        return None
    return body.find(*FEATURES, *EARS).mean(0), _FACE * body.stature


def _mask(pose: np.ndarray, size: Size, radii: Radii) -> np.ndarray | None:
    body = PixelPose.measure(pose, size)
    if body is None:
        return None
    parts = find_parts(body, size[0])
    return _paint(
        [(points, radii[part] * body.stature) for part, points in parts if part in radii], size
    )


def _paint(hulls: Iterable[tuple[np.ndarray, float]], size: Size) -> np.ndarray | None:
    """Fill hulls of points (n,2), each dilated by a radius in pixels; None if nothing is inside."""
    canvas = np.zeros(size, np.uint8)
    for points, radius in hulls:
        fixed = np.rint(np.clip(points, -_FARTHEST, _FARTHEST) * 2**_SHIFT).astype(np.int32)
        corners = cv2.convexHull(fixed)
        cv2.fillConvexPoly(canvas, corners, 1, shift=_SHIFT)
        thickness = round(min(max(1.0, 2 * radius), _FARTHEST))
        cv2.polylines(canvas, [corners], True, 1, thickness, shift=_SHIFT)
    return canvas.astype(bool) if canvas.any() else None
