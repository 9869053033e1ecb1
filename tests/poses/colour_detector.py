"""A detector that finds people made of coloured dots: one dot a joint, one blue level a person."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage

from jcdm.poses.detector import DetectedPerson

DOT = 5  # pixels, the side of a dot
STEP = 12  # levels between the reds of two joints
BLUES = (90, 170, 250)  # one a person
STANDING = np.array(
    [
        [0.50, 0.10], [0.50, 0.25], [0.38, 0.25], [0.32, 0.40], [0.30, 0.55], [0.62, 0.25],
        [0.68, 0.40], [0.70, 0.55], [0.43, 0.55], [0.42, 0.72], [0.41, 0.90], [0.57, 0.55],
        [0.58, 0.72], [0.59, 0.90], [0.45, 0.06], [0.55, 0.06], [0.40, 0.13], [0.60, 0.13],
    ]
)  # fmt: skip
"""A standing person (18,2) in a box of height 1 and width 1."""


def draw_dots(people: Mapping[int, np.ndarray], size: tuple[int, int]) -> np.ndarray:
    """Draw people, number -> joints (18,2) in [0,1], as dots on dark grey: (H,W,3) uint8."""
    canvas = np.full((*size, 3), 16, np.uint8)
    for number, joints in people.items():
        for joint, (x, y) in enumerate(joints):
            if min(x, y) < 0:
                continue  # not in the picture
            column, row = round(x * size[1] - 0.5), round(y * size[0] - 0.5)
            around = (slice(max(0, row - 2), row + 3), slice(max(0, column - 2), column + 3))
            canvas[around] = (30 + STEP * joint, 0, BLUES[number])
    return canvas


def at(x: float, y: float = 0.1, scale: float = 0.4) -> np.ndarray:
    """The standing person (18,2), its box's corner at (x, y)."""
    return STANDING * scale + (x, y)


@dataclass
class ColourDetector:
    """Finds every dotted person, those on the right first; `hidden` frames show nobody."""

    hidden: tuple[int, ...] = ()
    details: bool = False
    identity: str = "coloured dots"
    num_calls: int = 0

    def detect(self, picture: Image.Image) -> tuple[DetectedPerson, ...]:
        """Find people whose dots have not mixed with others'."""
        self.num_calls += 1
        if self.num_calls - 1 in self.hidden:
            return ()
        pixels = np.asarray(picture).astype(int)
        found = [self._read(pixels, blue) for blue in BLUES]
        people = [person for person in found if person is not None]
        return tuple(sorted(people, key=lambda person: -person.box[0]))

    def _read(self, pixels: np.ndarray, blue: int) -> DetectedPerson | None:
        body = np.zeros((18, 3))
        height, width = pixels.shape[:2]
        for joint in range(18):
            near = np.abs(pixels - (30 + STEP * joint, 0, blue)) <= (STEP // 2 - 1, 40, 35)
            spots, num_spots = ndimage.label(near.all(axis=2))
            sizes = np.bincount(spots.ravel(), minlength=2)[1:]
            if num_spots and sizes.max() >= DOT:
                row, column = ndimage.center_of_mass(spots == sizes.argmax() + 1)
                body[joint] = ((column + 0.5) / width, (row + 0.5) / height, 0.9)
        seen = body[body[:, 2] > 0, :2]
        if len(seen) < 6:
            return None
        box = (*seen.min(axis=0), *seen.max(axis=0))
        hands = np.tile(body[[7, 4], None], (1, 21, 1)) if self.details else None
        face = np.tile(body[[0]], (68, 1)) if self.details else None
        return DetectedPerson(body=body, box=box, hands=hands, face=face)
