"""YOLOX as ONNX without suppression in its graph: where in a picture are people?"""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from jcdm.errors import CheckpointError
from jcdm.poses.onnx_graph import OnnxGraph

STRIDES = (8, 16, 32)
PADDING = 114  # grey level of what letterboxing adds, as in training
SMALLEST_SCORE, LARGEST_OVERLAP = 0.3, 0.45  # as DWPose's published code sets them
FARTHEST = 1e4  # pixels of the input; farther out lie boxes of damaged weights alone
_PERSON = 5  # column of the score of class 0, after centre, size and objectness


class PeopleFinder:
    """Finds the boxes of people. The input's size comes from the file: 640 x 640 as published.

    Source: Ge et al., YOLOX (2021), whose networks read BGR pixels of 0..255, unlike the joints'.
    """

    def __init__(self, path: Path) -> None:
        """Open the network. Errors: CheckpointError."""
        self.graph = OnnxGraph(path)
        self._cells = np.concatenate(list(_cells(self.graph.height, self.graph.width)))
        self.graph.expect_outputs(
            [(1, len(self._cells), None)], "one row a cell, as YOLOX exports it without suppression"
        )

    def find(self, pixels: np.ndarray) -> np.ndarray:
        """Find people in RGB pixels (h,w,3) uint8: boxes (N,4), left, top, right, bottom in pixels.

        Boxes may reach beyond the picture; the surest comes first.
        """
        letterboxed, scale = letterbox(pixels, self.graph.height, self.graph.width)
        bgr = letterboxed[:, :, ::-1].transpose(2, 0, 1)[None]
        (rows,) = self.graph.run(bgr)
        is_table = rows.ndim == 3 and rows.shape[:2] == (1, len(self._cells))
        if not is_table or rows.shape[2] <= _PERSON:
            raise CheckpointError(
                f"{self.graph.path} gave {rows.shape}, expected (1, {len(self._cells)}, 85): box, "
                "objectness and 80 classes. Check which file this is."
            )
        boxes, scores = decode(rows[0], self._cells)
        return suppress(boxes, scores) / scale


def letterbox(pixels: np.ndarray, height: int, width: int) -> tuple[np.ndarray, float]:
    """Scale a picture into the top left corner of a grey one: uint8 (height,width,3), the scale."""
    scale = min(height / pixels.shape[0], width / pixels.shape[1])
    size = tuple(max(1, int(length * scale)) for length in pixels.shape[:2])
    canvas = np.full((height, width, 3), PADDING, np.uint8)
    canvas[: size[0], : size[1]] = cv2.resize(pixels, size[::-1], interpolation=cv2.INTER_LINEAR)
    return canvas, scale


def decode(rows: np.ndarray, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Read boxes of people from rows (N, 5 + classes): (M,4) corners in pixels, scores (M,).

    A row holds the box's centre, from its cell and in strides, the logarithm of its size in
    strides, objectness, and a probability a class. cells (N,3): column, row, stride.
    """
    scores = rows[:, 4] * rows[:, _PERSON]
    sure = scores > SMALLEST_SCORE
    chosen, places = rows[sure].astype(np.float64), cells[sure]
    centres = (chosen[:, :2] + places[:, :2]) * places[:, 2:]
    with np.errstate(over="ignore"):
        halves = np.exp(chosen[:, 2:4]) * places[:, 2:] / 2
    boxes = np.concatenate([centres - halves, centres + halves], axis=1)
    real = (np.abs(boxes) < FARTHEST).all(axis=1)
    return boxes[real], scores[sure][real]


def suppress(boxes: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Keep of boxes (N,4) that overlap much the surest one: (M,4), the surest first."""
    if not len(boxes):
        return boxes
    corners_and_sizes = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    kept = cv2.dnn.NMSBoxes(
        corners_and_sizes.tolist(), scores.tolist(), SMALLEST_SCORE, LARGEST_OVERLAP
    )
    return boxes[np.asarray(kept, dtype=int).ravel()]


def _cells(height: int, width: int) -> Iterator[np.ndarray]:
    """Give column, row and stride of every cell, (cells,3) a stride, in the order of the rows."""
    for stride in STRIDES:
        rows, columns = np.mgrid[: height // stride, : width // stride]
        yield np.stack([columns, rows, np.full_like(rows, stride)], axis=-1).reshape(-1, 3)
