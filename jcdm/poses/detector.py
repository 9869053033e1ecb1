"""What a pose detector is: a picture in, the people in it out."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from PIL import Image


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectedPerson:
    """One person in a picture.

    body (18,3) in the order of `JOINT_NAMES`; hands (2,21,3), left then right; face (68,3): x and y
    in [0,1] of the picture, which may lie outside it, and confidence in [0,1]. hands and face are
    None for detectors that do not look for them. box: left, top, right, bottom in [0,1].
    """

    body: np.ndarray
    box: tuple[float, float, float, float]
    hands: np.ndarray | None = None
    face: np.ndarray | None = None

    @property
    def confidence(self) -> float:
        """Mean confidence of the body's joints."""
        return float(self.body[:, 2].mean())


class PoseDetector(Protocol):
    """Finds people. identity: names the method and its weights, for manifests and caches."""

    identity: str

    def detect(self, picture: Image.Image) -> tuple[DetectedPerson, ...]:
        """Find all people in an RGB picture, in any order; none is an empty tuple."""
        ...
