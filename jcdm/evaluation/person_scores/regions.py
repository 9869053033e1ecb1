"""SSIM of the face and of the clothes, found by the true pose in both pictures."""

import math
from collections.abc import Mapping

import numpy as np

from jcdm.evaluation.pair_scores import PairBatch
from jcdm.evaluation.person_scores.masks import MASK_IDENTITY, face_mask, garment_mask
from jcdm.evaluation.protocols.protocol import Protocol
from jcdm.evaluation.protocols.similarity import Window, published_kinds, similarity_map

_REGIONS = {"ssim_face": face_mask, "ssim_garment": garment_mask}


class RegionSimilarity:
    """The protocol's Gaussian SSIM (`ssim_256`), its map averaged over a region of the picture.

    Pixels whose window reaches over the picture's border have no similarity and do not count. A
    pair without such a region has NaN.
    """

    names: tuple[str, ...] = tuple(_REGIONS)

    def __init__(self, protocol: Protocol) -> None:
        self.protocol = protocol

    @property
    def identity(self) -> str:
        """Name the masks and the choices of the SSIM."""
        return f"regions {MASK_IDENTITY} {self.protocol.sigma} {self.protocol.ssim_256_range}"

    def score(self, batch: PairBatch) -> Mapping[str, np.ndarray]:
        """Score every pair: means in [-1,1]."""
        found = {name: np.full(len(batch.truth), math.nan) for name in self.names}
        pairs = zip(batch.truth, batch.generated, batch.poses, strict=True)
        for i, (truth, generated, pose) in enumerate(pairs):
            similarity = similarity_map(truth, generated, self._kind(generated))
            for name, find in _REGIONS.items():
                if (mask := find(pose, truth.shape[:2])) is not None:
                    found[name][i] = _mean(similarity[mask])
        return found

    def _kind(self, generated: np.ndarray) -> tuple[Window, float]:
        _, gaussian = published_kinds(
            generated,
            size=self.protocol.ssim_window,
            sigma=self.protocol.sigma,
            fixed_range=self.protocol.ssim_256_range == "fixed",
        )
        return gaussian


def _mean(values: np.ndarray) -> float:
    """Mean of the values that are there; NaN if there are none."""
    kept = values[~np.isnan(values)]
    return float(kept.mean()) if len(kept) else math.nan
