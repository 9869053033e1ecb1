"""How tall a person is in a picture, and where its joints are: the measure of masks and of PCKh."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from jcdm.data.keypoints import JOINT_NAMES

JOINT = {name: number for number, name in enumerate(JOINT_NAMES)}

_SEGMENTS = (
    ("neck", "nose", 0.110),
    ("neck", "shoulder", 0.129),
    ("shoulder", "elbow", 0.186),
    ("elbow", "wrist", 0.146),
    ("neck", "hip", 0.303),
    ("hip", "knee", 0.245),
    ("knee", "ankle", 0.246),
)
"""Lengths in statures, after Drillis and Contini (1966); the nose's is this project's own."""

STATURE_IDENTITY = repr((1, _SEGMENTS))
"""Changes with the numbers here; the first is raised when the rule changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelPose:
    """A person's joints in a picture's pixels.

    points (18,2): x, y, the centre of the top left pixel at 0; known (18,) bool; stature: the
    person's height in pixels if it stood upright before the camera.
    """

    points: np.ndarray
    known: np.ndarray
    stature: float

    @classmethod
    def measure(cls, pose: np.ndarray, size: tuple[int, int]) -> Self | None:
        """Measure a pose (18,3), x and y in [0,1] and confidence, in a picture of (H,W) pixels.

        A limb can look shorter than it is, never longer. The longest, measured in average lengths,
        gives the stature; of several the second longest, so that one wild joint does not decide.
        None where no two neighbouring joints are known.
        """
        points = pose[:, :2].astype(np.float64) * size[::-1] - 0.5
        known = pose[:, 2] > 0
        found = sorted(
            float(np.linalg.norm(points[i] - points[j])) / share
            for i, j, share in _LIMBS
            if known[i] and known[j]
        )
        if not found or found[-1] == 0:
            return None
        stature = found[-2] if len(found) > 1 and found[-2] > 0 else found[-1]
        return cls(points=points, known=known, stature=stature)

    def find(self, *names: str) -> np.ndarray:
        """Return the known ones of some joints: (n,2)."""
        places = [JOINT[name] for name in names]
        return self.points[[place for place in places if self.known[place]]]


def _joint(side: str, name: str) -> int:
    return JOINT[name if name in JOINT else f"{side}_{name}"]


_LIMBS = tuple(
    {
        (_joint(side, start), _joint(side, end), share)
        for start, end, share in _SEGMENTS
        for side in ("right", "left")
    }
)
