"""Build a stage from a configuration: load the frozen parts, make or load what trains."""

import logging
from dataclasses import asdict

import torch
from torch import nn

from jcdm.compat.start_motion import start_motion
from jcdm.compat.start_prior import start_prior
from jcdm.compat.start_unet import start_unet
from jcdm.config import Config
from jcdm.errors import ConfigError
from jcdm.models.apm import AppearancePriorTransformer
from jcdm.models.denoiser import JCDMDenoiser, denoiser_from_config
from jcdm.models.encoders import FrozenCLIPVision, FrozenVAE
from jcdm.patches import require_patches
from jcdm.training.acceleration import prepare_module
from jcdm.training.parts import load_part
from jcdm.training.stages.base import Stage
from jcdm.training.stages.denoiser import DenoiserStage
from jcdm.training.stages.prior import PriorStage

logger = logging.getLogger(__name__)

KINDS = ("prior", "denoiser", "motion")
PUBLISHED_CLIP_MEAN, PUBLISHED_CLIP_STD = -0.016, 0.415
_DTYPES = {"no": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def build_stage(kind: str, config: Config, device: torch.device | str = "cpu") -> Stage:
    """Build a stage with fresh weights, or with those the configuration points to, on a device.

    Fresh weights depend on run.seed alone. What trains is float32, what is frozen beside it has
    the dtype of train.mixed_precision. Errors: CheckpointError for missing weights, ConfigError.
    """
    if kind not in KINDS:
        raise ConfigError(f"unknown stage {kind!r}; expected one of {', '.join(KINDS)}.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.run.seed)
        if kind == "prior":
            return _prior_stage(config, torch.device(device))
        return _denoiser_stage(kind, config, torch.device(device))


def frozen_dtype(config: Config) -> torch.dtype:
    """Dtype of the frozen parts: the one that the stage's module computes in."""
    return _DTYPES[config.train.mixed_precision]


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


def _prior_stage(config: Config, device: torch.device) -> PriorStage:
    dtype = frozen_dtype(config)
    clip = FrozenCLIPVision.from_folder(config.encoders.image_encoder, dtype)
    if config.prior.weights is None:
        prior = prior_from_config(config, appearance_dim=clip.width)
        if config.prior.pretrained is not None:
            logger.info("%s", start_prior(prior, config.prior.pretrained))
    else:
        prior = load_part(config.prior.weights, "prior", "prior.weights")
        logger.info("the prior starts from %s", config.prior.weights)
    _check_prior(prior, clip)
    prepare_module(prior, config, device)
    return PriorStage(prior, clip.to(device), config)


def _denoiser_stage(kind: str, config: Config, device: torch.device) -> DenoiserStage:
    dtype = frozen_dtype(config)
    vae = FrozenVAE.from_folder(config.encoders.vae, dtype)
    clip = FrozenCLIPVision.from_folder(config.encoders.image_encoder, dtype)
    vae.model.to(memory_format=torch.channels_last)  # up to twice as fast
    config.validate(vae_factor=vae.factor)
    denoiser = _denoiser(kind, config, vae, clip)
    _check_denoiser(denoiser, config, vae, clip)
    prepare_module(denoiser, config, device)
    return DenoiserStage(
        denoiser,
        kind="motion" if kind == "motion" else "denoiser",
        vae=vae.to(device),
        clip=clip.to(device),
        prior=frozen_prior(config, clip, device),
        config=config,
    )


def _denoiser(kind: str, config: Config, vae: FrozenVAE, clip: FrozenCLIPVision) -> JCDMDenoiser:
    """Load unet.weights, or build afresh and start from unet.pretrained when it is named."""
    if config.unet.weights is not None:
        denoiser = load_part(config.unet.weights, "denoiser", "unet.weights")
        logger.info("the denoiser starts from %s", config.unet.weights)
        if kind == "motion":
            _start_motion(denoiser, config)
        return denoiser
    if kind == "motion":
        raise ConfigError(
            "the motion stage needs a trained denoiser: set unet.weights to the folder final/ of "
            "a stage 2 part 1 run."
        )
    denoiser = denoiser_from_config(
        config,
        latent_channels=vae.latent_channels,
        vae_factor=vae.factor,
        appearance_dim=clip.width,
        patch_dim=clip.patch_dim,
    )
    if config.unet.pretrained is not None:
        logger.info("%s", start_unet(denoiser, config.unet.pretrained))
    return denoiser


def _start_motion(denoiser: JCDMDenoiser, config: Config) -> None:
    """Add fresh motion modules, or go on with those that the weights have when they are alike."""
    if denoiser.motion is None:
        denoiser.add_motion(asdict(config.motion.module))
        if config.motion.pretrained is not None:
            logger.info("%s", start_motion(denoiser, config.motion.pretrained))
        return
    if config.motion.pretrained is not None:
        raise ConfigError(
            f"motion.pretrained is set, but {config.unet.weights} has motion modules already. "
            "Leave it out to train them further, or choose unet.weights without motion."
        )
    found = denoiser.config["motion_config"]
    for name, value in asdict(config.motion.module).items():
        if found[name] != value:
            raise ConfigError(
                f"motion.{name} is {value}, but {config.unet.weights} has motion modules of "
                f"{name} {found[name]}. Set it to that, or choose other unet.weights."
            )
    logger.info("its motion modules are trained further")


def frozen_prior(
    config: Config, clip: FrozenCLIPVision, device: torch.device
) -> AppearancePriorTransformer | None:
    """Load the prior that stage 2 asks, in the run's dtype; None with prior.source=oracle.

    Errors: ConfigError, CheckpointError.
    """
    if config.prior.source == "oracle":
        return None
    if config.prior.weights is None:
        raise ConfigError(
            "stage 2 is trained on the prior's predictions: set prior.weights to the folder final/ "
            "of a stage 1 run, or prior.source=oracle for the true embeddings, as published."
        )
    prior = load_part(config.prior.weights, "prior", "prior.weights")
    _check_prior(prior, clip)
    nn.Module.to(prior, device=device, dtype=frozen_dtype(config))  # diffusers' own `to` warns
    return prior


def _check_prior(prior: AppearancePriorTransformer, clip: FrozenCLIPVision) -> None:
    found = prior.config["embed_dim"]
    if found != clip.width:
        raise ConfigError(
            f"the prior predicts embeddings of width {found}, the image encoder makes {clip.width}."
            " Choose prior.weights and encoders.image_encoder that belong together."
        )


def _check_denoiser(
    denoiser: JCDMDenoiser, config: Config, vae: FrozenVAE, clip: FrozenCLIPVision
) -> None:
    """Raise a ConfigError unless the denoiser fits the grid, the encoders and what it is told."""
    patch_grid = config.jci.patch_grid
    require_patches(patch_grid, clip.patches_a_side)
    if denoiser.patch_grid != patch_grid:
        raise ConfigError(
            f"jci.patch_grid is {patch_grid}, but {config.unet.weights} has {denoiser.patch_grid}. "
            "Set it to that, or choose other unet.weights."
        )
    expected = {
        "grid_rows": config.data.grid_rows,
        "grid_cols": config.data.grid_cols,
        "latent_channels": vae.latent_channels,
        "vae_factor": vae.factor,
        "appearance_dim": clip.width,
        "patch_dim": clip.patch_dim if patch_grid else None,
    }
    for name, value in expected.items():
        if denoiser.config[name] != value:
            raise ConfigError(
                f"unet.weights: the denoiser has {name} {denoiser.config[name]}, expected {value}. "
                "Choose weights that belong to encoders.* and data.grid_*."
            )
