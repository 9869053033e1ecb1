"""The objects that travel between the rooms, in a run's full size and without content."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from jcdm.config import Config
from jcdm.data.keypoints import flatten_pose
from jcdm.models.denoiser import JCDMDenoiser, denoiser_from_config
from jcdm.records import (
    NUM_KEYPOINTS,
    AppearancePrior,
    Batch,
    EncodedBatch,
    GeneratedViews,
    NoisyEmbeddings,
    NoisyLatents,
    Sample,
    StepOutput,
)
from jcdm.training.footprint import meta_like

Plan = tuple[dict[str, Any], Callable[[], Tensor]]


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """What the encoders decide: latent channels C, VAE factor f, CLIP's square S and widths.

    width: of an embedding (D), patch_dim: of a patch token (W).
    """

    latent_channels: int
    factor: int
    clip_size: int
    width: int
    patch_dim: int


def prior_objects(prior: Any, config: Config, sizes: Sizes) -> Plan:
    """Objects of the prior stage by name, and a call that runs the prior's forward pass."""
    batch = _batch(config, sizes, (0, 0))  # it reads no picture but CLIP's
    encoded = _encoded(batch, sizes, None)
    embeddings = encoded.reference_appearance
    noisy = NoisyEmbeddings(
        noisy=embeddings,
        target=embeddings,
        timesteps=meta_like(*batch.visible.shape, dtype=torch.int64),
    )

    def forward() -> Tensor:
        return prior(
            noisy.noisy,
            noisy.timesteps,
            pose=flatten_pose(batch.keypoints, batch.keypoint_valid),
            reference_appearance=encoded.reference_appearance,
            visible=batch.visible,
            present=batch.present,
            visibility_embeds=embeddings,
        )

    objects = _common(batch, encoded) | {
        "NoisyEmbeddings": noisy,
        "AppearancePrior": AppearancePrior(embeddings=forward(), source="apm"),
        "StepOutput": _step_output(batch),
    }
    return objects, forward


def planned_denoiser(kind: str, config: Config, sizes: Sizes) -> JCDMDenoiser:
    """Build the denoiser of a stage (denoiser or motion), its parts frozen as the stage has them.

    Under `torch.device("meta")` it costs no memory.
    """
    denoiser = denoiser_from_config(
        config,
        latent_channels=sizes.latent_channels,
        vae_factor=sizes.factor,
        appearance_dim=sizes.width,
        patch_dim=sizes.patch_dim,
        with_motion=kind == "motion",
    )
    denoiser.freeze_for("motion" if kind == "motion" else "denoiser")
    return denoiser


def stage2_objects(denoiser: Any, config: Config, sizes: Sizes) -> Plan:
    """Objects of stage 2 by name, and a call that runs the denoiser's forward pass."""
    batch = _batch(config, sizes, (config.data.height, config.data.width))
    height, width = (size // sizes.factor for size in batch.images.shape[-2:])
    views = (*batch.visible.shape, sizes.latent_channels, height, width)
    encoded = _encoded(batch, sizes, meta_like(*views), denoiser.patch_grid)
    num_people, rows, cols = len(batch.keys), config.data.grid_rows, config.data.grid_cols
    grid = meta_like(num_people, sizes.latent_channels, rows * height, cols * width)
    noisy = NoisyLatents(
        noisy=grid,
        target=grid,
        timesteps=meta_like(num_people, dtype=torch.int64),
        snr=meta_like(num_people),
    )
    prior = AppearancePrior(embeddings=encoded.reference_appearance, source=config.prior.source)
    conditions = {
        "embeddings": prior.embeddings,
        "visible": batch.visible,
        "present": batch.present,
        "pose_maps": batch.pose_maps,
        "reference_latents": encoded.reference_latents,
        "reference_patches": encoded.reference_patches,
    }

    def forward() -> Tensor:
        return denoiser(
            noisy.noisy, noisy.timesteps, **conditions, num_frames=_frames(config, denoiser)
        )

    objects = _common(batch, encoded) | {
        "AppearancePrior": prior,
        "Conditioning": denoiser.condition(**conditions),
        "NoisyLatents": noisy,
        "StepOutput": _step_output(batch),
        "GeneratedViews": _generated(batch),
        "Scores": "name -> (value, number of target views)",
    }
    return objects, forward


def _frames(config: Config, denoiser: Any) -> int | None:
    across_frames = denoiser.motion is not None and config.motion.axis == "frames"
    return config.train.batch_size if across_frames else None


def _common(batch: Batch, encoded: EncodedBatch) -> dict[str, Any]:
    sample = Sample(
        images=batch.images[0],
        clip_pixels=batch.clip_pixels[0],
        pose_maps=batch.pose_maps[0],
        keypoints=batch.keypoints[0],
        keypoint_valid=batch.keypoint_valid[0],
        visible=batch.visible[0],
        present=batch.present[0],
        subject="",
        key=0,
        arrangement=0,
    )
    record = f"subject, views: ViewRecord with image, keypoints ({NUM_KEYPOINTS}, 2) in [0,1]"
    return {"SubjectRecord": record, "Sample": sample, "Batch": batch, "EncodedBatch": encoded}


def _batch(config: Config, sizes: Sizes, view: tuple[int, int]) -> Batch:
    people, views = config.train.batch_size, config.data.grid.num_views
    picture = (people, views, 3, *view)
    flags = meta_like(people, views, dtype=torch.bool)
    return Batch(
        images=meta_like(*picture),
        clip_pixels=meta_like(people, views, 3, sizes.clip_size, sizes.clip_size),
        pose_maps=meta_like(*picture),
        keypoints=meta_like(people, views, NUM_KEYPOINTS, 2),
        keypoint_valid=meta_like(people, views, NUM_KEYPOINTS, dtype=torch.bool),
        visible=flags,
        present=flags,
        subjects=("",) * people,
        keys=meta_like(people, dtype=torch.int64),
    )


def _encoded(
    batch: Batch, sizes: Sizes, latents: Tensor | None, patch_grid: int = 0
) -> EncodedBatch:
    embeddings = meta_like(*batch.visible.shape, sizes.width)
    patches = meta_like(*batch.visible.shape, patch_grid**2, sizes.patch_dim)
    return EncodedBatch(
        latents=latents,
        reference_latents=latents,
        appearance=embeddings,
        reference_appearance=embeddings,
        pose_maps=batch.pose_maps,
        keypoints=batch.keypoints,
        keypoint_valid=batch.keypoint_valid,
        visible=batch.visible,
        present=batch.present,
        keys=batch.keys,
        prior_keys=batch.keys,
        reference_patches=patches if patch_grid else None,
    )


def _generated(batch: Batch) -> GeneratedViews:
    images = meta_like(*batch.images.shape, dtype=torch.uint8)
    return GeneratedViews(images=images, visible=batch.visible, subjects=batch.subjects, seed=0)


def _step_output(batch: Batch) -> StepOutput:
    return StepOutput(loss=meta_like(), per_sample=meta_like(len(batch.keys)))
