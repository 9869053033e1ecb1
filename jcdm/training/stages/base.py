"""What the loop knows of a stage, and how frozen encoders turn a Batch into an EncodedBatch."""

from typing import Protocol

import torch
from einops import rearrange
from torch import Tensor, nn

from jcdm.grid import GridShape, from_grid, to_grid
from jcdm.models.encoders import FrozenCLIPVision, FrozenVAE
from jcdm.records import Batch, EncodedBatch, LatentMoments, StepOutput
from jcdm.seeding import draw_normal


class Stage(Protocol):
    """One training stage. It never touches the optimizer; the loop never touches a model part."""

    part: str
    module: nn.Module

    def trainable_parameters(self) -> dict[str, nn.Parameter]:
        """Parameters that train, under the names they have in the module."""
        ...

    def to(self, device: torch.device) -> None:
        """Move the frozen parts; the module itself is moved by accelerate."""
        ...

    def step(self, batch: Batch) -> StepOutput:
        """Compute the loss of a batch; conditions are dropped only while the module trains."""
        ...

    def describe(self) -> str:
        """Say in one line what trains and what is frozen."""
        ...


def trainable(module: nn.Module) -> dict[str, nn.Parameter]:
    """Return the parameters of a module that take gradients, by name."""
    return {name: p for name, p in module.named_parameters() if p.requires_grad}


def count(module: nn.Module, *, only_trainable: bool = False) -> str:
    """Number of parameters in millions, as text."""
    chosen = (p for p in module.parameters() if p.requires_grad or not only_trainable)
    return f"{sum(p.numel() for p in chosen) / 1e6:.1f} M"


@torch.no_grad()
def encode_appearance(clip: FrozenCLIPVision, batch: Batch) -> tuple[Tensor, Tensor]:
    """Embed all true views once; targets' reference embedding is that of the black image.

    Returns appearance and reference_appearance, both (B,V,D). Empty cells get the black image.
    """
    black = clip.black_embedding().expand(*batch.visible.shape, -1)
    appearance = black.clone()
    appearance[batch.present] = clip.embed(batch.clip_pixels[batch.present])
    known = (batch.visible & batch.present)[..., None]
    return appearance, torch.where(known, appearance, black)


@torch.no_grad()
def encode_latents(
    vae: FrozenVAE, batch: Batch, *, layout: str, grid: GridShape
) -> tuple[Tensor, Tensor]:
    """Encode views to (latents, reference_latents), both (B,V,C,h,w).

    latents are sampled with noise drawn from the samples' keys; reference latents are means, with
    targets and empty cells encoded from black. layout `grid` shows the VAE the whole grid at once,
    as published; `view` one view at a time.
    """
    known = (batch.visible & batch.present)[:, :, None, None, None]
    if layout == "grid":
        masked = torch.where(known, batch.images, -1.0)
        full = vae.encode(to_grid(batch.images, grid))
        reference = vae.mean_latents(vae.encode(to_grid(masked, grid)))
        return (
            from_grid(_sample(vae, full, batch.keys), grid),
            from_grid(reference, grid),
        )
    views = vae.encode(rearrange(batch.images, "b v c h w -> (b v) c h w"))
    moments = LatentMoments(
        mean=rearrange(views.mean, "(b v) c h w -> b v c h w", b=len(batch.keys)),
        std=rearrange(views.std, "(b v) c h w -> b v c h w", b=len(batch.keys)),
    )
    black = vae.black_latents(*batch.images.shape[-2:])
    return (
        _sample(vae, moments, batch.keys),
        torch.where(known, vae.mean_latents(moments), black),
    )


def _sample(vae: FrozenVAE, moments: LatentMoments, keys: Tensor) -> Tensor:
    return vae.sample_latents(moments, draw_normal(keys, "vae", moments.mean.shape[1:]))


def encoded(
    batch: Batch,
    appearance: tuple[Tensor, Tensor],
    latents: tuple[Tensor, Tensor] | tuple[None, None] = (None, None),
) -> EncodedBatch:
    """Join what the encoders made with the rest of the batch."""
    return EncodedBatch(
        latents=latents[0],
        reference_latents=latents[1],
        appearance=appearance[0],
        reference_appearance=appearance[1],
        pose_maps=batch.pose_maps,
        keypoints=batch.keypoints,
        keypoint_valid=batch.keypoint_valid,
        visible=batch.visible,
        present=batch.present,
        keys=batch.keys,
    )
