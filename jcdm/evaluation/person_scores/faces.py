"""LPIPS of the face: the square about it, found by the true pose in both pictures."""

import math
from collections.abc import Mapping
from functools import cached_property

import numpy as np
import torch
from einops import rearrange
from torch.nn.functional import interpolate

from jcdm.evaluation.pair_scores import PairBatch
from jcdm.evaluation.person_scores.masks import MASK_IDENTITY, Size, face_circle
from jcdm.evaluation.protocols.pair_scorers import LPIPS, PerceptualScorer
from jcdm.evaluation.protocols.perceptual import PerceptualDistance
from jcdm.evaluation.protocols.protocol import Protocol

FACE_SIZE = 64  # pixels a side of the face that LPIPS is fed
Square = tuple[slice, slice]


class FacePerceptual:
    """LPIPS of faces at 64x64 (bilinear, smoothed); NaN where the pose shows no face."""

    names: tuple[str, ...] = ("lpips_face",)

    def __init__(self, protocol: Protocol, network: PerceptualDistance) -> None:
        self._perceptual = PerceptualScorer(protocol, network)

    @cached_property
    def identity(self) -> str:
        """Name the place and size of the face, the range of the pictures and the weights."""
        return f"faces {MASK_IDENTITY} {FACE_SIZE} {self._perceptual.identity}"

    def score(self, batch: PairBatch) -> Mapping[str, np.ndarray]:
        """Score every pair."""
        values, size = np.full(len(batch.truth), math.nan), batch.truth.shape[1:3]
        squares = ((i, face_square(pose, size)) for i, pose in enumerate(batch.poses))
        found = {i: square for i, square in squares if square is not None}
        if found:
            faces = PairBatch(
                generated=np.stack([_cut(batch.generated[i], s) for i, s in found.items()]),
                truth=np.stack([_cut(batch.truth[i], s) for i, s in found.items()]),
                poses=batch.poses[list(found)],
            )
            values[list(found)] = self._perceptual.score(faces)[LPIPS]
        return {"lpips_face": values}


def face_square(pose: np.ndarray, size: Size) -> Square | None:
    """Rows and columns of the square about `face_circle`, moved in where it reaches out.

    None where the pose shows no face, or its middle is outside the picture.
    """
    circle = face_circle(pose, size)
    if circle is None:
        return None
    (x, y), radius = circle
    if not (-0.5 <= x <= size[1] - 0.5 and -0.5 <= y <= size[0] - 0.5):
        return None
    side = min(max(1, round(2 * radius)), *size)
    return _stretch(y, side, size[0]), _stretch(x, side, size[1])


def _stretch(middle: float, side: int, length: int) -> slice:
    """Place `side` pixels about a middle, inside 0 to length."""
    start = int(np.clip(round(middle - (side - 1) / 2), 0, length - side))
    return slice(start, start + side)


def _cut(picture: np.ndarray, square: Square) -> np.ndarray:
    """Cut a square out of a picture (H,W,3) and resize it: (64,64,3)."""
    pixels = rearrange(torch.from_numpy(picture[square]), "h w c -> 1 c h w")
    size = (FACE_SIZE, FACE_SIZE)
    face = interpolate(pixels, size, mode="bilinear", antialias=True, align_corners=False)
    return rearrange(face, "1 c h w -> h w c").numpy()
