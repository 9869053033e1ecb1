"""Pose maps drawn the slow way: every pixel asked how far it lies inside or outside each shape.

Independent of OpenCV. A pixel near an edge has no certain colour and stays unknown.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

EDGE = 1.3  # pixels; nearer to an outline a smooth edge may mix colours


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Distance (H,W) in pixels to a shape's outline, negative inside, and the shape's colour."""

    distance: np.ndarray
    colour: tuple[float, ...]


def slow_map(shapes: Iterable[Shape], size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Lay shapes over one another on black: colours (H,W,3) and where they are certain (H,W)."""
    colours, certain = np.zeros((*size, 3)), np.ones(size, bool)
    for shape in shapes:
        inside = shape.distance < -EDGE
        colours[inside] = shape.colour
        certain[inside] = True
        certain[np.abs(shape.distance) <= EDGE] = False
    return colours, certain


def disc(centre: np.ndarray, radius: float, size: tuple[int, int]) -> np.ndarray:
    """Distance to a disc; centre (2,) in [0,1] of the picture, radius in pixels."""
    x, y = _offsets(centre, size)
    return np.hypot(x, y) - radius


def ellipse(start: np.ndarray, end: np.ndarray, radius: float, size: tuple[int, int]) -> np.ndarray:
    """About the distance to an ellipse between two points, `radius` wide to both sides."""
    along, across, half = _axes(start, end, size)
    half = max(half, 1e-3)
    return (np.hypot(along / half, across / radius) - 1) * min(half, radius)


def bar(start: np.ndarray, end: np.ndarray, width: float, size: tuple[int, int]) -> np.ndarray:
    """Distance to a straight line of some width between two points."""
    along, across, half = _axes(start, end, size)
    return np.hypot(np.clip(np.abs(along) - half, 0, None), across) - width / 2


def _axes(
    start: np.ndarray, end: np.ndarray, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, float]:
    x, y = _offsets((start + end) / 2, size)
    way = (end - start) * size[::-1]
    length = float(np.hypot(*way))
    cosine, sine = way / length if length else (1.0, 0.0)
    return x * cosine + y * sine, y * cosine - x * sine, length / 2


def _offsets(centre: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    height, width = size
    columns, rows = np.arange(width) + 0.5, np.arange(height) + 0.5
    x, y = centre * (width, height)
    return np.broadcast_to(columns - x, size), np.broadcast_to((rows - y)[:, None], size)
