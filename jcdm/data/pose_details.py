"""Draw hands and face into a pose map, in the manner that DWPose (Yang et al., 2023) published.

A hand is 20 thin lines in the colours of a rainbow under 21 blue discs; a face is 68 white discs.
On a 512-pixel picture the lines are 2 pixels wide, the discs 8 (hands) and 6 pixels (face). On
small pictures lines are as wide as OpenCV's finest smooth line, 1.4 to 1.9 pixels.
"""

import colorsys

import numpy as np

from jcdm.data.keypoints import HAND_EDGES, NUM_FACE_POINTS, NUM_HAND_JOINTS
from jcdm.data.strokes import SOFT_EDGE, fill_disc, fill_outline, fixed_point, pixel_centres
from jcdm.errors import DataError

HAND_COLOURS = tuple(
    tuple(round(255 * c) for c in colorsys.hsv_to_rgb(edge / len(HAND_EDGES), 1, 1))
    for edge in range(len(HAND_EDGES))
)
"""RGB of a hand's lines, in the order of `HAND_EDGES`; both hands have the same."""

HAND_JOINT_COLOUR = (0, 0, 255)
FACE_COLOUR = (255, 255, 255)

LINE_WIDTH_SHARE = 0.5  # of the radius of the body's joints, which is 4 pixels of 512
FACE_RADIUS_SHARE = 0.75


def draw_hands(
    canvas: np.ndarray, hands: np.ndarray, radius: float, min_confidence: float = 0.0
) -> None:
    """Draw hands (2,21,3) into an RGB canvas (H,W,3) uint8 in place.

    x and y are in [0,1] of the canvas; a point is drawn where its confidence is above 0 and not
    below `min_confidence`, a line where both its ends are. radius: of the body's joints, in pixels.
    Errors: DataError for another shape.
    """
    _expect("hands", hands, (2, NUM_HAND_JOINTS, 3))
    for hand in hands:
        centres, seen = pixel_centres(hand[:, :2], canvas), is_seen(hand, min_confidence)
        lines = fixed_point(_line_outlines(centres, LINE_WIDTH_SHARE * radius))
        for (start, end), colour, line in zip(HAND_EDGES, HAND_COLOURS, lines, strict=True):
            if seen[start] and seen[end]:
                fill_outline(canvas, line, colour)
        for centre in fixed_point(centres[seen]):
            fill_disc(canvas, centre, radius - SOFT_EDGE, HAND_JOINT_COLOUR)


def draw_face(
    canvas: np.ndarray, face: np.ndarray, radius: float, min_confidence: float = 0.0
) -> None:
    """Draw a face (68,3) into an RGB canvas (H,W,3) uint8 in place; see `draw_hands`."""
    _expect("face", face, (NUM_FACE_POINTS, 3))
    seen = is_seen(face, min_confidence)
    for centre in fixed_point(pixel_centres(face[seen, :2], canvas)):
        fill_disc(canvas, centre, FACE_RADIUS_SHARE * radius - SOFT_EDGE, FACE_COLOUR)


def is_seen(points: np.ndarray, min_confidence: float) -> np.ndarray:
    """Tell which points (...,3) are drawn: confidence above 0, and not below `min_confidence`."""
    return (points[..., 2] > 0) & (points[..., 2] >= min_confidence)


def _line_outlines(centres: np.ndarray, width: float) -> np.ndarray:
    """Corners of every line of a hand in pixels: (20,4,2); a fine line is its soft edge alone."""
    start, end = centres[np.array(HAND_EDGES)].transpose(1, 0, 2)
    along = end - start
    length = np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-6)
    half = max(0.0, width / 2 - SOFT_EDGE)
    across = half * np.stack([-along[:, 1], along[:, 0]], axis=1) / length
    return np.stack([start + across, end + across, end - across, start - across], axis=1)


def _expect(what: str, points: np.ndarray, shape: tuple[int, ...]) -> None:
    if points.shape != shape:
        raise DataError(
            f"found {what} of shape {points.shape}, expected {shape}: x, y and confidence. Leave "
            f"{what} out where there are none."
        )
