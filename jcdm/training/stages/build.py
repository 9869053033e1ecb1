"""Build a stage from a configuration: load the frozen parts, make or load what trains."""

import logging
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

import torch

from jcdm.config import Config
from jcdm.errors import CheckpointError, ConfigError
from jcdm.models.apm import AppearancePriorTransformer
from jcdm.models.denoiser import JCDMDenoiser, denoiser_from_config
from jcdm.models.encoders import FrozenCLIPVision, FrozenVAE
from jcdm.training.stages.base import Stage
from jcdm.training.stages.denoiser import DenoiserStage
from jcdm.training.stages.prior import PriorStage

logger = logging.getLogger(__name__)

KINDS = ("prior", "denoiser", "motion")
M = TypeVar("M", AppearancePriorTransformer, JCDMDenoiser)
PUBLISHED_CLIP_MEAN, PUBLISHED_CLIP_STD = -0.016, 0.415


def build_stage(kind: str, config: Config) -> Stage:
    """Build a stage with fresh weights, or with those the configuration points to.

    Fresh weights depend on run.seed alone. Errors: CheckpointError for missing weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.run.seed)
        if kind == "prior":
            return _prior_stage(config)
        if kind in ("denoiser", "motion"):
            return _denoiser_stage(kind, config)
    raise ConfigError(f"unknown stage {kind!r}; expected one of {', '.join(KINDS)}.")


def prior_from_config(config: Config, *, appearance_dim: int) -> AppearancePriorTransformer:
    """Build an untrained prior; statistics of CLIP embeddings default to the published ones."""
    options = config.prior
    return AppearancePriorTransformer(
        embed_dim=appearance_dim,
        num_layers=options.num_layers,
        num_heads=options.num_heads,
        head_dim=options.head_dim,
        pose_hidden_dim=options.pose_hidden_dim,
        attend_across_views=options.attend_across_views,
        num_view_heads=options.num_view_heads,
        max_views=max(16, config.data.grid.num_views),
        visibility_embedding=options.visibility_embedding,
        clip_mean=PUBLISHED_CLIP_MEAN if options.clip_mean is None else options.clip_mean,
        clip_std=PUBLISHED_CLIP_STD if options.clip_std is None else options.clip_std,
    )


def _prior_stage(config: Config) -> PriorStage:
    clip = FrozenCLIPVision.from_folder(config.encoders.image_encoder)
    prior = prior_from_config(config, appearance_dim=clip.width)
    if config.train.activation_checkpointing:
        prior.enable_gradient_checkpointing()
    return PriorStage(prior, clip, config)


def _denoiser_stage(kind: str, config: Config) -> DenoiserStage:
    vae = FrozenVAE.from_folder(config.encoders.vae)
    clip = FrozenCLIPVision.from_folder(config.encoders.image_encoder)
    config.validate(vae_factor=vae.factor)
    denoiser = _denoiser(kind, config, vae, clip)
    if config.train.activation_checkpointing:
        denoiser.enable_gradient_checkpointing()
    return DenoiserStage(
        denoiser,
        kind="motion" if kind == "motion" else "denoiser",
        vae=vae,
        clip=clip,
        prior=_frozen_prior(config),
        config=config,
    )


def _denoiser(kind: str, config: Config, vae: FrozenVAE, clip: FrozenCLIPVision) -> JCDMDenoiser:
    """Load unet.weights, or build afresh and start from unet.pretrained when it is named."""
    if config.unet.weights is None:
        if kind == "motion":
            raise ConfigError(
                "the motion stage needs a trained denoiser: set unet.weights to the folder "
                "final/ of a stage 2 part 1 run."
            )
        denoiser = denoiser_from_config(
            config,
            latent_channels=vae.latent_channels,
            vae_factor=vae.factor,
            appearance_dim=clip.width,
        )
        if config.unet.pretrained is not None:
            denoiser.load_pretrained_unet(config.unet.pretrained)
            logger.info("U-Net starts from %s", config.unet.pretrained)
        return denoiser
    denoiser = load_model(JCDMDenoiser, config.unet.weights, "unet.weights")
    if kind == "motion" and denoiser.motion is None:
        denoiser.add_motion(asdict(config.motion))
    return denoiser


def _frozen_prior(config: Config) -> AppearancePriorTransformer | None:
    if config.prior.source == "oracle":
        return None
    if config.prior.weights is None:
        raise ConfigError(
            "stage 2 is trained on the prior's predictions: set prior.weights to the folder final/ "
            "of a stage 1 run, or prior.source=oracle for the true embeddings, as published."
        )
    return load_model(AppearancePriorTransformer, config.prior.weights, "prior.weights")


def load_model(kind: type[M], folder: Path, key: str) -> M:
    """Load a `from_pretrained` folder as float32. Errors: CheckpointError naming key and folder."""
    if not (folder / "config.json").is_file():
        raise CheckpointError(
            f"{key}: {folder} has no config.json; expected a folder written by a finished run "
            "(its final/) or by save_pretrained."
        )
    return kind.from_pretrained(folder, local_files_only=True, torch_dtype=torch.float32)
