"""What the loop knows of a stage, and how frozen encoders turn a Batch into an EncodedBatch."""

from typing import Protocol

import torch
from einops import rearrange
from torch import Tensor, nn

from jcdm.grid import GridShape, from_grid, to_grid
from jcdm.models.encoders import FrozenCLIPVision, FrozenVAE
from jcdm.patches import pool_patches
from jcdm.pipelines.patches import embed_patches, spread
from jcdm.records import Batch, EncodedBatch, LatentMoments, StepOutput
from jcdm.seeding import draw_normal

NUM_ENCODED_AT_ONCE = 8


class Stage(Protocol):
    """One training stage. It never touches the optimizer; the loop never touches a model part.

    module: what accelerate wraps and the checkpoint stores, in the folder named `part`.
    """

    part: str
    module: nn.Module
    clip: FrozenCLIPVision

    def trainable_parameters(self) -> dict[str, nn.Parameter]:
        """Parameters that train, under the names they have in the module."""
        ...

    def step(self, batch: Batch) -> StepOutput:
        """Compute the loss of a batch, which comes as the loader made it, on the CPU.

        Conditions are dropped only while the module trains.
        """
        ...

    def preview(self, batch: Batch) -> tuple[dict[str, float], Tensor | None]:
        """Try the model on people: scores, means over their target views, and pictures or None.

        pictures: (B,3,H,W) uint8, one a person. The loop calls it with one person at a time.
        """
        ...

    def describe(self) -> str:
        """Say in one line what trains and what is frozen."""
        ...


def trainable(module: nn.Module) -> dict[str, nn.Parameter]:
    """Return the parameters of a module that take gradients, by name."""
    return {name: p for name, p in module.named_parameters() if p.requires_grad}


def count(module: nn.Module, *, only_trainable: bool = False) -> str:
    """Number of parameters as text, such as 859.5 M."""
    chosen = (p for p in module.parameters() if p.requires_grad or not only_trainable)
    return readable(sum(p.numel() for p in chosen))


def readable(number: float) -> str:
    """Write a large number with three or four digits and a unit: k, M, G, T."""
    for unit in ("", " k", " M", " G"):
        if number < 1000:
            return f"{number:.1f}{unit}" if unit else f"{number:.0f}"
        number /= 1000
    return f"{number:.1f} T"


@torch.no_grad()
def embed_views(clip: FrozenCLIPVision, batch: Batch, wanted: Tensor) -> Tensor:
    """Embed the wanted views; the others get the embedding of the black image: (B,V,D).

    batch and wanted (B,V) bool are on the CPU, so that choosing views waits for no GPU. A batch
    from a cache has embeddings already.
    """
    if batch.appearance is not None:
        known = wanted[..., None].to(clip.device, non_blocking=True)
        return torch.where(
            known, batch.appearance.to(clip.device, non_blocking=True), clip.black_embedding()
        )
    rows = wanted.flatten().nonzero()[:, 0]
    found = clip.black_embedding().repeat(wanted.numel(), 1)
    pixels = rearrange(batch.clip_pixels, "b v c h w -> (b v) c h w")
    found.index_copy_(0, rows.to(clip.device), clip.embed(pixels[rows]))
    return rearrange(found, "(b v) d -> b v d", b=len(batch.keys))


@torch.no_grad()
def encode_references(
    clip: FrozenCLIPVision, batch: Batch, patch_grid: int
) -> tuple[Tensor, Tensor | None]:
    """Embed the references (B,V,D) and pool their patches (B,V,n*n,W), n = patch_grid, in one go.

    Other views get the embedding of the black image, and zeros for patches; no pixel of theirs is
    read. Without a patch_grid there are no patches (None).
    """
    known = batch.visible & batch.present
    if not patch_grid or batch.reference_patches is not None:
        return embed_views(clip, batch, known), encode_patches(clip, batch, patch_grid)
    embeddings, tokens = clip.embed_with_tokens(batch.clip_pixels[known])
    shown = known[..., None].to(clip.device, non_blocking=True)
    reference = torch.where(shown, spread(embeddings, known), clip.black_embedding())
    return reference, spread(pool_patches(tokens, patch_grid), known)


def encode_patches(clip: FrozenCLIPVision, batch: Batch, patch_grid: int) -> Tensor | None:
    """Take the references' patches (B,V,n*n,W) from the cache, or encode them; None for n = 0."""
    if not patch_grid:
        return None
    if batch.reference_patches is not None:
        return batch.reference_patches.to(clip.device, non_blocking=True)
    return embed_patches(clip, batch, patch_grid)


def encode_appearance(clip: FrozenCLIPVision, batch: Batch) -> tuple[Tensor, Tensor]:
    """Embed all true views once; targets' reference embedding is that of the black image.

    Returns appearance and reference_appearance, both (B,V,D). Empty cells get the black image.
    """
    appearance = embed_views(clip, batch, batch.present)
    known = (batch.visible & batch.present)[..., None].to(appearance.device)
    return appearance, torch.where(known, appearance, clip.black_embedding())


@torch.no_grad()
def encode_latents(
    vae: FrozenVAE, batch: Batch, *, layout: str, grid: GridShape
) -> tuple[Tensor, Tensor]:
    """Encode views to (latents, reference_latents), both (B,V,C,h,w).

    latents are sampled with noise drawn from the samples' keys; reference latents are means, with
    targets and empty cells encoded from black. layout `grid` shows the VAE the whole grid at once,
    as published; `view` one view at a time. A batch from a cache has moments already.
    """
    known = (batch.visible & batch.present)[:, :, None, None, None]
    if layout == "grid":
        masked = torch.where(known.to(batch.images.device), batch.images, -1.0)
        full = _encode(vae, to_grid(batch.images, grid))
        reference = vae.mean_latents(_encode(vae, to_grid(masked, grid)))
        return (
            from_grid(_sample(vae, full, batch.keys), grid),
            from_grid(reference, grid),
        )
    moments = _moments(vae, batch)
    height, width = (vae.factor * length for length in moments.mean.shape[-2:])
    black = vae.black_latents(height, width)
    return (
        _sample(vae, moments, batch.keys),
        torch.where(known.to(black.device), vae.mean_latents(moments), black),
    )


def _moments(vae: FrozenVAE, batch: Batch) -> LatentMoments:
    """Take the moments (B,V,C,h,w) of all views from the cache, or encode them one by one."""
    if batch.latent_mean is not None and batch.latent_std is not None:
        mean, std = (
            m.to(vae.device, non_blocking=True) for m in (batch.latent_mean, batch.latent_std)
        )
        return LatentMoments(mean=mean, std=std)
    views = _encode(vae, rearrange(batch.images, "b v c h w -> (b v) c h w"))
    return LatentMoments(
        mean=rearrange(views.mean, "(b v) c h w -> b v c h w", b=len(batch.keys)),
        std=rearrange(views.std, "(b v) c h w -> b v c h w", b=len(batch.keys)),
    )


def _encode(vae: FrozenVAE, images: Tensor) -> LatentMoments:
    """Encode a few pictures at a time: faster on a CPU, whose caches hold them, and smaller."""
    parts = [vae.encode(some) for some in images.split(NUM_ENCODED_AT_ONCE)]
    return LatentMoments(
        mean=torch.cat([part.mean for part in parts]), std=torch.cat([part.std for part in parts])
    )


def _sample(vae: FrozenVAE, moments: LatentMoments, keys: Tensor) -> Tensor:
    return vae.sample_latents(moments, draw_normal(keys, "vae", moments.mean.shape[1:]))


def encoded(
    batch: Batch,
    appearance: tuple[Tensor | None, Tensor],
    latents: tuple[Tensor, Tensor] | tuple[None, None] = (None, None),
    reference_patches: Tensor | None = None,
) -> EncodedBatch:
    """Join what the encoders made with the rest of the batch, all on the encoders' device.

    The appearance of true views, and patches, may be None where nothing reads them.
    """
    true_appearance, reference = appearance
    moved = batch.to(reference.device)
    return EncodedBatch(
        latents=latents[0],
        reference_latents=latents[1],
        appearance=true_appearance,
        reference_appearance=reference,
        pose_maps=moved.pose_maps,
        keypoints=moved.keypoints,
        keypoint_valid=moved.keypoint_valid,
        visible=moved.visible,
        present=moved.present,
        keys=batch.keys,
        prior_keys=batch.prior_keys,
        predicted=moved.predicted,
        reference_patches=reference_patches,
    )
