"""The colour of the clothes, found by the true pose in both pictures."""

import math
from collections.abc import Mapping

import numpy as np
from skimage.color import deltaE_ciede2000, rgb2lab

from jcdm.evaluation.pair_scores import PairBatch
from jcdm.evaluation.person_scores.masks import MASK_IDENTITY, garment_mask


class GarmentColour:
    """Delta E 2000 (Sharma et al., 2005) of the clothes' mean CIE Lab colours; D65, sRGB.

    0 = equal, 1 to 2 = just noticeable. A pair whose pose shows no clothes has NaN.
    """

    names: tuple[str, ...] = ("colour_garment",)
    identity = f"garment colour {MASK_IDENTITY}"

    def score(self, batch: PairBatch) -> Mapping[str, np.ndarray]:
        """Score every pair."""
        pairs = zip(batch.generated, batch.truth, batch.poses, strict=True)
        colours = [(garment_colour(a, pose), garment_colour(b, pose)) for a, b, pose in pairs]
        return {"colour_garment": np.array([colour_distance(a, b) for a, b in colours])}


def garment_colour(picture: np.ndarray, pose: np.ndarray) -> np.ndarray | None:
    """Mean CIE Lab colour (3,) of the clothes in a picture (H,W,3); None without such a region."""
    mask = garment_mask(pose, picture.shape[:2])
    if mask is None:
        return None
    return rgb2lab(np.clip(picture[mask].astype(np.float64), 0, 1)).mean(0)


def colour_distance(first: np.ndarray | None, second: np.ndarray | None) -> float:
    """Delta E 2000 of two CIE Lab colours (3,); NaN where one is not known."""
    if first is None or second is None:
        return math.nan
    return float(deltaE_ciede2000(first, second))
