"""Joints as published lists write them, made x, y in [0,1] of the picture."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jcdm.data.importers.base import RowError
from jcdm.data.importers.text import shown
from jcdm.reading import UnreadableError, parse_json
from jcdm.records import NUM_KEYPOINTS

NO_KEYPOINTS = np.zeros((NUM_KEYPOINTS, 2))
NONE_VALID = np.zeros(NUM_KEYPOINTS, dtype=bool)
for _shared in (NO_KEYPOINTS, NONE_VALID):
    _shared.flags.writeable = False

BAND = 40
"""White pixels left and right of the person in the older frame of 256 x 256."""
_LONGEST_LIST = 2000  # characters; 18 integers need far fewer


class Joints(NamedTuple):
    """keypoints (18,2) x, y in [0,1] and valid (18,)."""

    keypoints: np.ndarray
    valid: np.ndarray


def parse_integers(text: str, what: str) -> list[int]:
    """Read `[24, -1, ...]`: 18 integers, -1 = missing. RowError says what was found instead."""
    try:
        values = parse_json(text) if len(text) <= _LONGEST_LIST else None
    except UnreadableError:
        values = None
    if not isinstance(values, list):
        raise RowError(f"found {what} {shown(text.strip())}, expected 18 integers in brackets.")
    if len(values) != NUM_KEYPOINTS:
        raise RowError(f"found {len(values)} {what}, expected {NUM_KEYPOINTS} integers.")
    for value in values:
        if type(value) is not int or not -1 <= value < 10**6:
            raise RowError(f"found {shown(value)} in {what}, expected integers of -1 and above.")
    return values


def parse_points(values: Any) -> np.ndarray:
    """Check 18 pairs of finite numbers, x then y; returns (18,2). RowError otherwise."""
    if not isinstance(values, list) or len(values) != NUM_KEYPOINTS:
        raise RowError(f"found {shown(values)}, expected {NUM_KEYPOINTS} pairs x, y.")
    for pair in values:
        if not isinstance(pair, list) or len(pair) != 2 or not all(map(_is_number, pair)):
            raise RowError(f"found {shown(pair)} among the joints, expected x, y: two numbers.")
    return np.array(values, dtype=np.float64)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 1e6


def read_pose_text(text: str) -> np.ndarray:
    """Read 18 lines `x y`; returns (18,2). RowError otherwise."""
    rows = [line.replace(",", " ").split() for line in text.splitlines() if line.strip()]
    if len(rows) > 2 * NUM_KEYPOINTS:
        raise RowError(f"found {len(rows)} lines of joints, expected {NUM_KEYPOINTS}.")
    try:
        values = [[float(number) for number in row] for row in rows]
    except ValueError:
        raise RowError("found joints that are no numbers, expected lines 'x y'.") from None
    if any(not math.isfinite(number) for row in values for number in row):
        raise RowError("found joints that are not finite, expected lines 'x y'.")
    return parse_points(values)


def read_pose_file(path: Path) -> np.ndarray:
    """Read a text file of joints; RowError names it."""
    try:
        return read_pose_text(path.read_bytes().decode("utf-8-sig"))
    except (OSError, UnicodeDecodeError):
        raise RowError(f"found {path.name} unreadable, expected 18 lines 'x y'.") from None
    except RowError as error:
        raise RowError(f"{path.name}: {error}") from None


def unit_joints(points: np.ndarray) -> Joints:
    """Joints (18,2) already in [0,1]; those outside and those at 0, 0 are missing."""
    points = without_zeros(points)
    return _inside(points, np.ones(NUM_KEYPOINTS, dtype=bool))


def pixel_joints(points: np.ndarray, size: tuple[int, int], left: int = 0) -> Joints:
    """Pixels (18,2) of a frame (H, W) that begins `left` pixels inside, made [0,1].

    Pixel k has its middle at k + 0.5. Negative joints are missing, those outside the frame too.
    """
    height, width = size
    middle = (points + 0.5 - (left, 0)) / (width, height)
    return _inside(middle, (points >= 0).all(axis=1))


def _inside(points: np.ndarray, found: Any) -> Joints:
    """Keep found joints that lie in the picture."""
    valid = np.asarray(found & ((points >= 0) & (points <= 1)).all(axis=1))
    keypoints = points.copy()
    keypoints[~valid] = 0.0
    return Joints(keypoints, valid)


def without_zeros(points: np.ndarray) -> np.ndarray:
    """Mark joints (18,2) at 0, 0 as missing: what a detector writes for one it did not find."""
    return np.where((points == 0).all(axis=1)[:, None], -1.0, points)


def are_pixels(points: Sequence[np.ndarray]) -> bool:
    """Whether joints of a file are in pixels: most that are not missing lie above 1."""
    found = np.concatenate([p[(p > 0).all(axis=1)] for p in points]) if points else np.empty(0)
    return bool(found.size) and float(np.median(found)) > 1.0
