"""Small vector algebra of the drawn people: unit vectors, turns and soft steps."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
"""Double precision array; geometry is small, so precision costs nothing."""

Facts = npt.NDArray[np.bool_]
"""Array of true or false."""


def unit(vectors: Floats) -> Floats:
    """Scale vectors (..., 3) to length one; a zero vector stays zero."""
    length = np.sqrt((vectors * vectors).sum(-1, keepdims=True))
    return vectors / np.maximum(length, 1e-9)


def turn_x(angle: float) -> Floats:
    """Rotation (3, 3) about x in radians; a positive angle tips +y towards +z (lean forward)."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]])


def turn_y(angle: float) -> Floats:
    """Rotation (3, 3) about the vertical in radians; a positive angle turns +z towards +x."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])


def turn_z(angle: float) -> Floats:
    """Rotation (3, 3) about z in radians; a positive angle tips +x towards +y."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def shortest_turn(start: Floats, end: Floats) -> Floats:
    """Rotation (3, 3) that carries unit vector `start` onto `end` without extra twist."""
    x, y, z = np.cross(start, end)
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    # Opposite vectors have no shortest turn; the floor keeps the result finite and continuous.
    return np.eye(3) + cross + cross @ cross / max(1.0 + float(start @ end), 1e-3)


def soft_step(values: Floats, low: float, high: float) -> Floats:
    """Cubic step: 0 below `low`, 1 above `high`, smooth between."""
    t = np.clip((values - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)
