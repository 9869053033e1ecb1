"""Draw a pose map: joints and limbs of one person in the colours that OpenPose made standard."""

import colorsys

import numpy as np

from jcdm.data.pose_details import draw_face, draw_hands
from jcdm.data.strokes import SOFT_EDGE, fill_disc, fill_outline, fixed_point, pixel_centres
from jcdm.records import NUM_KEYPOINTS

LIMBS = (
    (1, 2),
    (1, 5),
    (2, 3),
    (3, 4),
    (5, 6),
    (6, 7),
    (1, 8),
    (8, 9),
    (9, 10),
    (1, 11),
    (11, 12),
    (12, 13),
    (1, 0),
    (0, 14),
    (14, 16),
    (0, 15),
    (15, 17),
)
COLOURS = tuple(
    tuple(round(255 * c) for c in colorsys.hsv_to_rgb(joint / NUM_KEYPOINTS, 1, 1))
    for joint in range(NUM_KEYPOINTS)
)
"""RGB of joint 0..17, a rainbow; limb i has the colour of joint i, dimmed."""

_LIMB_OPACITY = 0.6
_RADIUS_PER_PIXEL = 4 / 512
_SMALLEST_RADIUS = 1.25
_OUTLINE = np.linspace(0, 2 * np.pi, 24, endpoint=False)


def draw_pose_map(
    keypoints: np.ndarray,
    valid: np.ndarray,
    height: int,
    width: int,
    *,
    hands: np.ndarray | None = None,
    face: np.ndarray | None = None,
    min_confidence: float = 0.0,
) -> np.ndarray:
    """Draw joints (K,2), x and y in [0,1] of the picture, as RGB on black: uint8 (height,width,3).

    A limb is an ellipse between two joints, drawn where both are valid; joints are discs above the
    limbs. Both are as wide as on a 512-pixel picture 8 pixels would be, and never below 2.5 pixels.
    Joints may lie outside the picture: what is inside of their limbs is drawn. hands (2,21,3) and
    face (68,3), x, y and confidence, are drawn above the body; see `draw_hands`.
    """
    canvas = np.zeros((height, width, 3), np.uint8)
    radius = max(_SMALLEST_RADIUS, _RADIUS_PER_PIXEL * max(height, width))
    _draw_body(canvas, keypoints, valid, radius - SOFT_EDGE)
    if hands is not None:
        draw_hands(canvas, hands, radius, min_confidence)
    if face is not None:
        draw_face(canvas, face, radius, min_confidence)
    return canvas


def _draw_body(canvas: np.ndarray, keypoints: np.ndarray, valid: np.ndarray, radius: float) -> None:
    centres = pixel_centres(keypoints, canvas)
    outlines = fixed_point(_limb_outlines(centres, radius))
    for (start, end), colour, outline in zip(LIMBS, COLOURS, outlines, strict=False):
        if valid[start] and valid[end]:
            fill_outline(canvas, outline, [_LIMB_OPACITY * c for c in colour])
    discs = fixed_point(centres)
    for joint in np.flatnonzero(valid):
        fill_disc(canvas, discs[joint], radius, COLOURS[joint])


def _limb_outlines(centres: np.ndarray, radius: float) -> np.ndarray:
    """Points of every limb's ellipse in pixels: (limbs, points, 2)."""
    start, end = centres[np.array(LIMBS)].transpose(1, 0, 2)
    middle, half = (start + end) / 2, (end - start) / 2
    length = np.maximum(np.linalg.norm(half, axis=1, keepdims=True), 1e-6)
    across = radius * np.stack([-half[:, 1], half[:, 0]], axis=1) / length
    along = np.cos(_OUTLINE)[None, :, None] * half[:, None]
    return middle[:, None] + along + np.sin(_OUTLINE)[None, :, None] * across[:, None]
