"""The objects that travel between rooms: frozen, named, with documented shapes.

Letters: B batch, V views, K keypoints (18), H W view pixels, C latent channels, h w latent cell,
gh gw latent grid (rows*h, cols*w), D appearance width, T tokens, E token width.
Views stay separate (B,V,...) here; the grid exists only where a picture is painted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import Tensor

from jcdm.errors import DataError

NUM_KEYPOINTS = 18
KEYS = ("keys", "arrangements")
"""The tensors of a Batch that random numbers derive from; they stay on the CPU."""


def _expect(name: str, tensor: Tensor, shape: tuple[int, ...]) -> None:
    """Raise a DataError naming the tensor unless its shape is `shape`."""
    if tuple(tensor.shape) != shape:
        raise DataError(f"{name} has shape {tuple(tensor.shape)}, expected {shape}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewRecord:
    """One photograph on disk and its pose. keypoints (K,2) x,y in [0,1]; keypoint_valid (K,)."""

    image: Path
    keypoints: np.ndarray
    keypoint_valid: np.ndarray
    pose_map: Path | None = None
    tags: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shapes = (self.keypoints.shape, self.keypoint_valid.shape)
        if shapes != ((NUM_KEYPOINTS, 2), (NUM_KEYPOINTS,)):
            raise DataError(
                f"{self.image}: found keypoints {shapes[0]} and keypoint_valid {shapes[1]}, "
                f"expected ({NUM_KEYPOINTS}, 2) and ({NUM_KEYPOINTS},): OpenPose-18, x then y."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectRecord:
    """One person in one outfit, seen in one or more views."""

    subject: str
    views: tuple[ViewRecord, ...]
    split: str = "train"

    def __post_init__(self) -> None:
        if not self.views:
            raise DataError(f"subject {self.subject!r} has no views; expected at least one.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """V views of one subject, ready for the models.

    images (V,3,H,W) float32 [-1,1]; clip_pixels (V,3,S,S) CLIP-normalised; pose_maps (V,3,H,W)
    [0,1], both with H = W = 0 for the prior, which reads neither; keypoints (V,K,2);
    keypoint_valid, visible, present: bool. `visible` True = reference view; `present` False = an
    empty cell, in no loss and no score. From an encoder cache, else None: latent_mean, latent_std
    (V,C,h,w), unscaled VAE moments, and appearance (V,D); images and clip_pixels may then be empty.
    predicted (V,D): what the frozen prior predicts, where that is kept. reference_patches
    (V,n*n,W): from a cache, zeros for all but the references. arrangement: the key that
    views, cells, cut, mirror and visibility were drawn from; `key` where they never repeat.
    """

    images: Tensor
    clip_pixels: Tensor
    pose_maps: Tensor
    keypoints: Tensor
    keypoint_valid: Tensor
    visible: Tensor
    present: Tensor
    subject: str
    key: int
    arrangement: int
    latent_mean: Tensor | None = None
    latent_std: Tensor | None = None
    appearance: Tensor | None = None
    predicted: Tensor | None = None
    reference_patches: Tensor | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Samples with a leading B; `keys` (B,) int64 is the source of every random number drawn.

    Except the prior's, which `arrangements` (B,) int64 is: with repeated conditions come repeated
    predictions. None = the keys themselves.
    """

    images: Tensor
    clip_pixels: Tensor
    pose_maps: Tensor
    keypoints: Tensor
    keypoint_valid: Tensor
    visible: Tensor
    present: Tensor
    subjects: tuple[str, ...]
    keys: Tensor
    arrangements: Tensor | None = None
    latent_mean: Tensor | None = None
    latent_std: Tensor | None = None
    appearance: Tensor | None = None
    predicted: Tensor | None = None
    reference_patches: Tensor | None = None

    def __post_init__(self) -> None:
        batch, views = self.images.shape[:2]
        _expect("keypoints", self.keypoints, (batch, views, NUM_KEYPOINTS, 2))
        _expect("keypoint_valid", self.keypoint_valid, (batch, views, NUM_KEYPOINTS))
        _expect("visible", self.visible, (batch, views))
        _expect("present", self.present, (batch, views))
        _expect("keys", self.keys, (batch,))

    @property
    def prior_keys(self) -> Tensor:
        """What the prior's noise derives from (B,)."""
        return self.keys if self.arrangements is None else self.arrangements

    def to(self, device: torch.device | str) -> Self:
        """Move every tensor but the keys (randomness is drawn on the CPU)."""
        moved: dict[str, Any] = {
            f.name: value.to(device, non_blocking=True)
            for f in fields(self)
            if isinstance(value := getattr(self, f.name), Tensor) and f.name not in KEYS
        }
        return replace(self, **moved)

    def pin_memory(self) -> Self:
        """Pin every tensor, so that copies to a GPU overlap with work."""
        pinned: dict[str, Any] = {
            f.name: value.pin_memory()
            for f in fields(self)
            if isinstance(value := getattr(self, f.name), Tensor)
        }
        return replace(self, **pinned)


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedView:
    """What the frozen encoders make of one photograph, mirrored or not.

    mean, std (C,h,w): unscaled VAE moments, None in a cache without latents; appearance (D,). size:
    height and width of the photograph in pixels.
    """

    mean: Tensor | None
    std: Tensor | None
    appearance: Tensor
    size: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentMoments:
    """Unscaled VAE posterior: mean and std (..., C, h, w)."""

    mean: Tensor
    std: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedBatch:
    """What the frozen encoders make of a Batch.

    latents (B,V,C,h,w) scaled; reference_latents the same with targets encoded from black;
    appearance (B,V,D) of every true view; reference_appearance (B,V,D) with targets from black.
    Latents are None in the prior stage, `appearance` where the frozen prior predicts it;
    predicted (B,V,D): what it did predict, where that was kept. prior_keys: as of a Batch.
    reference_patches (B,V,n*n,W): zeros for all but the references; None unless the denoiser reads
    them.
    """

    latents: Tensor | None
    reference_latents: Tensor | None
    appearance: Tensor | None
    reference_appearance: Tensor
    pose_maps: Tensor
    keypoints: Tensor
    keypoint_valid: Tensor
    visible: Tensor
    present: Tensor
    keys: Tensor
    prior_keys: Tensor
    predicted: Tensor | None = None
    reference_patches: Tensor | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AppearancePrior:
    """One CLIP embedding a view: embeddings (B,V,D) in CLIP space (de-normalised)."""

    embeddings: Tensor
    source: Literal["oracle", "apm"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditioning:
    """All the U-Net is told besides the noisy grid; computed once a sample.

    tokens (B,T,E); pose (B,P,gh,gw) with P the U-Net's first width; visibility (B,1,gh,gw);
    reference (B,C,gh,gw).
    """

    tokens: Tensor
    pose: Tensor
    visibility: Tensor
    reference: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class NoisyLatents:
    """Grid latents after noising: noisy, target (B,C,gh,gw); timesteps (B,); snr (B,) float32."""

    noisy: Tensor
    target: Tensor
    timesteps: Tensor
    snr: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class NoisyEmbeddings:
    """Normalised embeddings after noising: noisy, target (B,V,D); timesteps (B,V) int64."""

    noisy: Tensor
    target: Tensor
    timesteps: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOutput:
    """What a stage's step gives the loop: loss scalar (mean of per_sample), per_sample (B,)."""

    loss: Tensor
    per_sample: Tensor
    logs: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedViews:
    """Painted people: images (B,V,3,H,W) uint8, every cell; visible (B,V), False = painted."""

    images: Tensor
    visible: Tensor
    subjects: tuple[str, ...]
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Mean values over target views: name -> (value, number of views it was computed on)."""

    values: Mapping[str, tuple[float, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Scores with what is needed to trust them: configuration, checkpoint and data identity."""

    title: str
    scores: Mapping[str, Scores]
    manifest: Mapping[str, object]
