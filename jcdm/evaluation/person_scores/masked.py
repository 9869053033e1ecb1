"""Scores of the person alone: both pictures are multiplied by a mask made from the true pose.

After Ma et al. (2017), whose mask-SSIM keeps the background out; `psnr_masked` is taken over the
mask's pixels, so that its size does not matter. A pair without a mask has NaN.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property

import numpy as np

from jcdm.evaluation.pair_scores import PairBatch
from jcdm.evaluation.person_scores.masks import MASK_IDENTITY, person_mask
from jcdm.evaluation.protocols.pair_scorers import LPIPS, PerceptualScorer, SimilarityScorer
from jcdm.evaluation.protocols.perceptual import PerceptualDistance
from jcdm.evaluation.protocols.protocol import Protocol
from jcdm.evaluation.protocols.similarity import psnr

Masks = Mapping[int, np.ndarray]


class MaskedSimilarity:
    """Both SSIMs of a protocol on masked pictures, and PSNR over the mask's pixels."""

    names: tuple[str, ...] = ("ssim_masked", "ssim_256_masked", "psnr_masked")

    def __init__(self, protocol: Protocol) -> None:
        self._similarity = SimilarityScorer(replace(protocol, scores=("ssim", "ssim_256")))

    @property
    def identity(self) -> str:
        """Name the masks and the choices of both SSIMs."""
        return f"masked {MASK_IDENTITY} {self._similarity.identity}"

    def score(self, batch: PairBatch) -> Mapping[str, np.ndarray]:
        """Score every pair; PSNR is infinite where the masks' pixels are equal."""
        found = {name: np.full(len(batch.truth), math.nan) for name in self.names}
        if masks := _masks(batch):
            places = list(masks)
            for name, values in self._similarity.score(_cover(batch, masks)).items():
                found[f"{name}_masked"][places] = values
            for i, mask in masks.items():
                found["psnr_masked"][i] = psnr(batch.truth[i][mask], batch.generated[i][mask])
        return found


class MaskedPerceptual:
    """LPIPS of pictures that are black, 0 of [0,1], outside the person."""

    names: tuple[str, ...] = ("lpips_masked",)

    def __init__(self, protocol: Protocol, network: PerceptualDistance) -> None:
        self._perceptual = PerceptualScorer(protocol, network)

    @cached_property
    def identity(self) -> str:
        """Name the masks, the range of the pictures and the weights."""
        return f"masked {MASK_IDENTITY} {self._perceptual.identity}"

    def score(self, batch: PairBatch) -> Mapping[str, np.ndarray]:
        """Score every pair."""
        values = np.full(len(batch.truth), math.nan)
        if masks := _masks(batch):
            values[list(masks)] = self._perceptual.score(_cover(batch, masks))[LPIPS]
        return {"lpips_masked": values}


def _masks(batch: PairBatch) -> Masks:
    """Masks of the pairs that have one, by place in the batch."""
    size = batch.truth.shape[1:3]
    found = ((i, person_mask(pose, size)) for i, pose in enumerate(batch.poses))
    return {i: mask for i, mask in found if mask is not None}


def _cover(batch: PairBatch, masks: Masks) -> PairBatch:
    """Keep the pairs that have a mask, black outside it."""
    places, inside = list(masks), np.stack(list(masks.values()))[..., None]
    return PairBatch(
        generated=np.where(inside, batch.generated[places], np.float32(0)),
        truth=np.where(inside, batch.truth[places], np.float32(0)),
        poses=batch.poses[places],
    )
