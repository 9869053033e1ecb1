"""The two tables of the published protocol: keypoints a picture, and pairs of pictures."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from jcdm.data.importers.base import RowError, Source
from jcdm.data.importers.joints import parse_integers
from jcdm.data.importers.paths import safe_name
from jcdm.data.importers.text import read_table, relative, shown

ANNOTATION_HEADER = "name:keypoints_y:keypoints_x"
PAIRS_HEADER = "from,to"
_SQUARE_SHARE = 0.01
"""Share of joints right of column 176 from which on a file is in the frame of 256 x 256."""


class Annotation(NamedTuple):
    """A row of keypoints: points (18,2) in pixels, x then y, -1 = missing."""

    where: str
    name: str
    points: np.ndarray


class Pair(NamedTuple):
    """A row of pairs: the picture to start from and the picture to make."""

    where: str
    source: str
    target: str


def find_table(root: Path, kind: str, split: str) -> Path | None:
    """Find `fashion-resize-KIND-SPLIT.csv` in any of its spellings; None when it is not there."""
    for prefix in ("fasion", "fashion"):
        for middle in ("-resize", ""):
            path = root / f"{prefix}{middle}-{kind}-{split}.csv"
            if path.is_file():
                return path
    return None


def parse_annotation(line: str) -> tuple[str, np.ndarray]:
    """Take a row apart: name and points (18,2) in pixels, x then y. RowError says what is wrong."""
    parts = line.split(":")
    if len(parts) != 3:
        raise RowError(f"found {len(parts)} columns, expected 3: {ANNOTATION_HEADER}.")
    name = safe_name(parts[0])
    y, x = parse_integers(parts[1], "keypoints_y"), parse_integers(parts[2], "keypoints_x")
    points = np.array([x, y], dtype=np.float64).T
    halves = np.flatnonzero((points[:, 0] < 0) != (points[:, 1] < 0))
    if halves.size:
        joint = int(halves[0])
        raise RowError(
            f"found joint {joint} at x {x[joint]}, y {y[joint]}, expected both or neither to be -1."
        )
    return name, points


def read_annotation(path: Path, source: Source) -> list[Annotation]:
    """Read a table of keypoints; bad rows and repeated names go to the ledger."""
    rows: list[Annotation] = []
    seen: dict[str, str] = {}
    for where, line in read_table(path, source.root, ANNOTATION_HEADER):
        with source.ledger.row(where):
            name, points = parse_annotation(line)
            if name in seen:
                raise RowError(f"found {shown(name)} again, expected it once (first: {seen[name]})")
            seen[name] = where
            rows.append(Annotation(where, name, points))
    return rows


def tell_frame(rows: list[Annotation], source: Source, path: Path) -> tuple[int, int]:
    """Size (H, W) of the frame of a DeepFashion table, from its numbers or as chosen; says it."""
    chosen = source.options.frame
    x = np.concatenate([row.points[:, 0] for row in rows]) if rows else np.empty(0)
    x = x[x >= 0]
    is_square = bool(x.size) and float((x >= 176).mean()) > _SQUARE_SHARE
    frame = chosen or ((256, 256) if is_square else (256, 176))
    how = "as chosen" if chosen else f"largest x {int(x.max()) if x.size else 'none'}"
    cut = ", 40 pixels cut off left and right" if frame == (256, 256) else ""
    name = relative(path, source.root)
    source.ledger.note(f"{name}: frame {frame[0]}x{frame[1]} ({how}){cut}")
    return frame


def check_frame(points: np.ndarray, frame: tuple[int, int]) -> None:
    """RowError when a joint lies outside the frame (H, W) that all others lie in."""
    for axis, limit in enumerate(frame[::-1]):
        largest = int(points[:, axis].max())
        if largest >= limit:
            raise RowError(
                f"found keypoints_{'xy'[axis]} {largest}, expected -1 to {limit - 1} in a frame "
                f"of {frame[0]}x{frame[1]}."
            )


def parse_pair(line: str) -> tuple[str, str]:
    """Take a row apart: from and to. RowError says what is wrong."""
    parts = line.split(",")
    if len(parts) != 2:
        raise RowError(f"found {len(parts)} columns, expected 2: {PAIRS_HEADER}.")
    source, target = safe_name(parts[0]), safe_name(parts[1])
    if source == target:
        raise RowError(f"found {shown(source)} twice, expected two pictures.")
    return source, target


def read_pairs(path: Path, source: Source) -> list[Pair]:
    """Read a table of pairs; bad rows go to the ledger."""
    pairs: list[Pair] = []
    for where, line in read_table(path, source.root, PAIRS_HEADER):
        with source.ledger.row(where):
            pairs.append(Pair(where, *parse_pair(line)))
    return pairs
