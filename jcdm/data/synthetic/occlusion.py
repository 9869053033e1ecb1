"""Which joints a viewer can point at: inside the frame and not behind another part of the body."""

import numpy as np
import numpy.typing as npt

from jcdm.data.synthetic.rasterizer import Floats32
from jcdm.data.synthetic.vectors import Floats

# How far below the visible surface each joint may lie, metres: joints sit inside limbs and cloth.
_DEPTH_OF_JOINT = np.array(
    (0.035, 0.13)  # nose, neck
    + (0.11, 0.10, 0.08) * 2  # shoulder, elbow, wrist
    + (0.17, 0.13, 0.11) * 2  # hip, knee, ankle
    + (0.035, 0.035, 0.045, 0.045)  # eyes, ears
)


def find_visible_joints(
    joints: Floats, depth: Floats32, size: tuple[int, int]
) -> npt.NDArray[np.bool_]:
    """Flag joints (18, 3), x and y in pixels of the view and distance in metres, that can be seen.

    `depth` (sH, sW) is the distance of the nearest surface on the supersampled raster.
    """
    height, width = size
    x, y, distance = joints.T
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    column = np.clip(x * depth.shape[1] / width, 0, depth.shape[1] - 1).astype(int)
    row = np.clip(y * depth.shape[0] / height, 0, depth.shape[0] - 1).astype(int)
    return np.asarray(inside & (depth[row, column] > distance - _DEPTH_OF_JOINT))
