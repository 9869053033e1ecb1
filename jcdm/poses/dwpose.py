"""DWPose by its two published ONNX files: people first, then 133 joints of each."""

from pathlib import Path

import numpy as np
from PIL import Image

from jcdm.data.joint_orders import to_openpose_18
from jcdm.data.keypoints import NUM_HAND_JOINTS
from jcdm.poses.detector import DetectedPerson
from jcdm.poses.onnx_joints import JointFinder
from jcdm.poses.onnx_people import PeopleFinder
from jcdm.poses.weights import name_weights

FACE, HANDS = slice(23, 91), slice(91, 133)  # in COCO-WholeBody's order; the left hand comes first


class DWPose:
    """Detector of bodies, hands and faces. Source: Yang et al., DWPose (2023)."""

    def __init__(self, *, people: Path, joints: Path) -> None:
        """Open yolox_l.onnx (people) and dw-ll_ucoco_384.onnx (joints), or smaller twins.

        Errors: CheckpointError for a file that is missing, damaged or another network.
        """
        self._people, self._joints = PeopleFinder(people), JointFinder(joints)
        self.identity = f"DWPose: {name_weights(people)}, {name_weights(joints)}"

    def detect(self, picture: Image.Image) -> tuple[DetectedPerson, ...]:
        """Find all people in an RGB picture, the surest box first; none is an empty tuple."""
        pixels = np.asarray(picture.convert("RGB"))
        boxes = self._people.find(pixels)
        return tuple(_person(self._joints.find(pixels, box), box, picture.size) for box in boxes)


def _person(joints: np.ndarray, box: np.ndarray, size: tuple[int, int]) -> DetectedPerson:
    """Scale joints (133,3) and box (4,) from pixels to [0,1] of a picture of `size` (w, h)."""
    scaled = joints.copy()
    scaled[:, :2] = (joints[:, :2] + 0.5) / size  # ours count from the picture's edge
    left, top, right, bottom = (box / (*size, *size)).tolist()
    return DetectedPerson(
        body=to_openpose_18(scaled),
        box=(left, top, right, bottom),
        hands=scaled[HANDS].reshape(2, NUM_HAND_JOINTS, 3),
        face=scaled[FACE],
    )
