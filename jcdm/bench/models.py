"""Stages and pipelines of a size with random weights, made in memory on a device."""

from dataclasses import replace
from typing import Any, Literal

import torch
from diffusers import AutoencoderKL
from einops import rearrange
from torch import Tensor, nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from jcdm.bench.sizes import BenchSize
from jcdm.config import Precision
from jcdm.diffusion.schedule import build_denoiser_scheduler, build_prior_scheduler
from jcdm.models.denoiser import denoiser_from_config
from jcdm.models.encoders import FrozenCLIPVision, FrozenVAE
from jcdm.pipelines import JCDMPipeline
from jcdm.records import NUM_KEYPOINTS, Batch
from jcdm.seeding import draw_uniform, sample_key
from jcdm.training.acceleration import prepare_module
from jcdm.training.stages.base import encode_patches
from jcdm.training.stages.build import frozen_dtype, prior_from_config
from jcdm.training.stages.denoiser import DenoiserStage
from jcdm.training.stages.prior import PriorStage

NUM_VIEWS = 4


def build_vae(
    size: BenchSize, device: torch.device, dtype: torch.dtype, *, channels_last: bool = True
) -> FrozenVAE:
    """Make the frozen VAE of a size, its numbers in memory in our order or in torch's own."""
    with device:
        model: Any = AutoencoderKL(**size.vae)
    if channels_last:
        model.to(memory_format=torch.channels_last)
    return FrozenVAE(model, dtype)


def build_clip(
    size: BenchSize, kind: str, device: torch.device, dtype: torch.dtype
) -> FrozenCLIPVision:
    """Make the CLIP tower beside a stage."""
    options = size.prior_clip if kind == "prior" else size.clip
    with device:
        model = CLIPVisionModelWithProjection(CLIPVisionConfig(**options))
    return FrozenCLIPVision(model, dtype)


def build_stage(
    size: BenchSize,
    kind: str,
    device: torch.device,
    *,
    published: bool = False,
    source: Literal["apm", "oracle"] | None = None,
    mixed_precision: Precision = "no",
) -> PriorStage | DenoiserStage:
    """Make a stage (prior, denoiser or motion); arguments as of `BenchSize.config`."""
    config = size.config(kind, published=published, source=source, mixed_precision=mixed_precision)
    sizes, dtype = size.encoder_sizes(kind), frozen_dtype(config)
    clip = build_clip(size, kind, device, dtype)
    with device:
        prior = prior_from_config(config, appearance_dim=sizes.width)
    if kind == "prior":
        prepare_module(prior, config, device)
        return PriorStage(prior, clip, config)
    with device:
        denoiser = denoiser_from_config(
            config,
            latent_channels=sizes.latent_channels,
            vae_factor=sizes.factor,
            appearance_dim=sizes.width,
            patch_dim=sizes.patch_dim,
            with_motion=kind == "motion",
        )
    prepare_module(denoiser, config, device)
    nn.Module.to(prior, dtype=dtype)  # diffusers' own `to` warns
    return DenoiserStage(
        denoiser,
        kind="motion" if kind == "motion" else "denoiser",
        vae=build_vae(size, device, dtype, channels_last=not published),
        clip=clip,
        prior=None if config.prior.source == "oracle" else prior,
        config=config,
    )


def build_pipeline(stage: DenoiserStage, *, layout: str) -> JCDMPipeline:
    """Make a sampling pipeline of a stage's parts; its weights stay the stage's."""
    assert stage.prior is not None, "a pipeline predicts the appearance"
    data = stage.config.data
    schedulers: dict[str, Any] = {
        "scheduler": build_denoiser_scheduler(stage.config.schedule),
        "prior_scheduler": build_prior_scheduler(),
    }
    return JCDMPipeline(
        vae=stage.vae.model,
        image_encoder=stage.clip.model,
        prior=stage.prior,
        denoiser=stage.denoiser,
        **schedulers,
        height=data.height,
        width=data.width,
        layout=layout,
    )


def random_batch(size: BenchSize, kind: str, *, num_people: int | None = None) -> Batch:
    """Make people of noise on the CPU: a reference and three targets each."""
    default = size.prior_batch_size if kind == "prior" else size.batch_size
    keys = torch.tensor([sample_key(0, 0, i) for i in range(num_people or default)])
    square = size.encoder_sizes(kind).clip_size
    picture = (NUM_VIEWS, 3, 0, 0) if kind == "prior" else (NUM_VIEWS, 3, size.height, size.width)
    flags = torch.ones(len(keys), NUM_VIEWS, dtype=torch.bool)
    return Batch(
        images=2 * draw_uniform(keys, "images", picture) - 1,
        clip_pixels=draw_uniform(keys, "clip", (NUM_VIEWS, 3, square, square)),
        pose_maps=draw_uniform(keys, "maps", picture),
        keypoints=draw_uniform(keys, "joints", (NUM_VIEWS, NUM_KEYPOINTS, 2)),
        keypoint_valid=flags[..., None].expand(-1, -1, NUM_KEYPOINTS),
        visible=flags & (torch.arange(NUM_VIEWS) == 0),
        present=flags,
        subjects=tuple(map(str, range(len(keys)))),
        keys=keys,
    )


@torch.no_grad()
def cached_batch(stage: PriorStage | DenoiserStage, batch: Batch) -> Batch:
    """Make the batch that an encoder cache would give: no pictures, what is known of them."""
    views = rearrange(batch.clip_pixels, "b v c h w -> (b v) c h w")
    found: dict[str, Any] = {"appearance": _as_views(stage.clip.embed(views), batch)}
    if isinstance(stage, DenoiserStage):
        moments = stage.vae.encode(rearrange(batch.images, "b v c h w -> (b v) c h w"))
        found["latent_mean"] = _as_views(moments.mean, batch)
        found["latent_std"] = _as_views(moments.std, batch)
        patches = encode_patches(stage.clip, batch, stage.denoiser.patch_grid)
        found["reference_patches"] = None if patches is None else patches.cpu()
    nothing = batch.images[..., :0, :0]
    return replace(batch, images=nothing, clip_pixels=nothing, **found)


def _as_views(rows: Tensor, batch: Batch) -> Tensor:
    return rearrange(rows.cpu(), "(b v) ... -> b v ...", b=len(batch.keys))
