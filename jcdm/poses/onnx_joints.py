"""RTMPose as ONNX: where in a box are the 133 joints of a whole body?"""

from pathlib import Path

import cv2
import numpy as np

from jcdm.errors import CheckpointError
from jcdm.poses.onnx_graph import OnnxGraph

NUM_JOINTS = 133  # COCO-WholeBody: body 17, feet 6, face 68, left hand 21, right hand 21
PADDING = 1.25  # size of what is cut out, in boxes
MEAN = np.array([123.675, 116.28, 103.53], np.float32)  # of ImageNet, RGB in 0..255
STD = np.array([58.395, 57.12, 57.375], np.float32)


class JointFinder:
    """Finds the joints of the person in a box. Input as published: 384 high, 288 wide, RGB.

    Source: Yang et al., DWPose (2023); Jiang et al., RTMPose (2023), whose outputs are a row of
    bins for x and one for y a joint (SimCC, Li et al., 2022), more finely than pixels.
    """

    def __init__(self, path: Path) -> None:
        """Open the network. Errors: CheckpointError."""
        self.graph = OnnxGraph(path)
        self.graph.expect_outputs(
            [(1, NUM_JOINTS, None)] * 2, "bins of x and of y for every joint of the whole body"
        )

    def find(self, pixels: np.ndarray, box: np.ndarray) -> np.ndarray:
        """Find joints (133,3) in RGB pixels (h,w,3) uint8: x and y in pixels, confidence in [0,1].

        box (4,): left, top, right, bottom. Pixel centres have whole coordinates.
        """
        size = np.array([self.graph.width, self.graph.height])
        centre, extent = frame_of(box, size)
        patch = cut_out(pixels, centre, extent, size).astype(np.float32)
        normalised = ((patch - MEAN) / STD).transpose(2, 0, 1)[None]
        bins = self.graph.run(normalised)
        if any(axis.ndim != 3 or axis.shape[:2] != (1, NUM_JOINTS) for axis in bins):
            raise CheckpointError(
                f"{self.graph.path} gave {bins[0].shape} and {bins[1].shape}, expected (1, "
                f"{NUM_JOINTS}, bins) twice. Check which file this is."
            )
        shares, confidence = read_bins(bins[0][0], bins[1][0])
        return np.concatenate([centre + (shares - 0.5) * extent, confidence[:, None]], axis=1)


def frame_of(box: np.ndarray, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Widen a box (4,) by PADDING and to the shape of `size`, both (2,): centre and extent."""
    centre = (box[:2] + box[2:]) / 2
    wanted = np.maximum((box[2:] - box[:2]) * PADDING, 1.0)
    return centre, size * (wanted / size).max()


def cut_out(
    pixels: np.ndarray, centre: np.ndarray, extent: np.ndarray, size: np.ndarray
) -> np.ndarray:
    """Scale a frame of a picture to `size` (width, height); black beyond the picture."""
    scale = size[0] / extent[0]
    matrix = np.concatenate([scale * np.eye(2), (size / 2 - scale * centre)[:, None]], axis=1)
    width, height = size.tolist()
    return cv2.warpAffine(pixels, matrix, (width, height), flags=cv2.INTER_LINEAR)


def read_bins(columns: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Read bins (K,columns) and (K,rows): places (K,2) as shares of the input, confidence (K,).

    A joint stands in its two fullest bins and is as sure as the less full of them.
    """
    shares = [axis.argmax(axis=1) / axis.shape[1] for axis in (columns, rows)]
    confidence = np.minimum(columns.max(axis=1), rows.max(axis=1))
    return np.stack(shares, axis=1), np.clip(np.nan_to_num(confidence), 0, 1)
