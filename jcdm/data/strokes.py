"""Smooth discs and convex shapes with OpenCV: what pose maps are drawn of."""

from collections.abc import Sequence

import cv2
import numpy as np

Colour = Sequence[float]
"""RGB in 0..255."""

SOFT_EDGE = 0.6
"""Pixels by which OpenCV's smooth edge reaches beyond an outline."""

_SHIFT = 4  # binary digits after the point of the coordinates given to OpenCV
_FARTHEST = 2.0**14  # pixels; keeps a wild coordinate inside OpenCV's integers


def pixel_centres(points: np.ndarray, canvas: np.ndarray) -> np.ndarray:
    """Bring points (N,2), x and y in [0,1], to OpenCV's pixels, whose centres are whole numbers."""
    height, width = canvas.shape[:2]
    return np.clip(points * (width, height) - 0.5, -_FARTHEST, _FARTHEST)


def fixed_point(points: np.ndarray) -> np.ndarray:
    """Round pixels (...,2) to the binary fractions that OpenCV reads, as int32."""
    return np.rint(points * 2**_SHIFT).astype(np.int32)


def fill_outline(canvas: np.ndarray, outline: np.ndarray, colour: Colour) -> None:
    """Fill a convex shape, points (N,2) of `fixed_point`, in an RGB canvas (H,W,3) in place."""
    cv2.fillConvexPoly(canvas, outline, colour, cv2.LINE_AA, _SHIFT)


def fill_disc(canvas: np.ndarray, centre: np.ndarray, radius: float, colour: Colour) -> None:
    """Fill a disc around a point (2,) of `fixed_point`; radius in pixels, without its soft edge."""
    size = round(radius * 2**_SHIFT)
    cv2.circle(canvas, centre.tolist(), size, colour, -1, cv2.LINE_AA, _SHIFT)
