"""Four drawn people, random tiny encoders, and configurations of the three stages on them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from jcdm.config import (
    Config,
    DataConfig,
    EncodersConfig,
    JCIConfig,
    MotionStageConfig,
    OptimConfig,
    PriorConfig,
    RunConfig,
    TrainConfig,
    UNetConfig,
    VisibilityConfig,
)
from jcdm.data.synthetic import write_dataset
from jcdm.training.stages.build import build_stage

HEIGHT, WIDTH = 32, 32
KINDS = ("prior", "denoiser", "motion")
PRIOR = PriorConfig(
    num_layers=1,
    num_heads=2,
    head_dim=16,
    pose_hidden_dim=32,
    num_view_heads=2,
    clip_mean=0.0,
    clip_std=0.6,
    training_steps=2,
)
UNET = UNetConfig(
    block_out_channels=(16, 32),
    attention_levels=(False, True),
    layers_per_block=1,
    cross_attention_dim=16,
    num_heads=2,
    norm_num_groups=4,
    pose_guider_channels=(8, 16),
)


def make_world(folder: Path) -> Path:
    """Draw the people and write the encoders; returns the folder."""
    write_dataset(
        folder / "people",
        num_identities=8,
        seed=0,
        size=(64, 64),
        num_views=4,
        test_fraction=0.5,
        num_sequences=8,
        num_frames=6,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        _vae().save_pretrained(folder / "vae")
        _clip().save_pretrained(folder / "clip")
    return folder


def make_trained_world(folder: Path) -> Path:
    """Make the world, and an (untrained) prior and denoiser for the stages that need them."""
    make_world(folder)
    for kind in ("prior", "denoiser"):
        stage = build_stage(kind, tiny_config(folder, folder / "unused", kind))
        stage.module.save_pretrained(folder / kind)  # type: ignore[operator]
    return folder


def _vae() -> AutoencoderKL:
    """A random VAE whose latents say more of the picture than of its own noise."""
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(8, 8),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=4,
        mid_block_add_attention=False,
        scaling_factor=4.0,
    )
    with torch.no_grad():
        vae.quant_conv.weight[4:] = 0
        vae.quant_conv.bias[4:] = -10
    return vae


def _clip() -> CLIPVisionModelWithProjection:
    config = CLIPVisionConfig(
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=32,
        patch_size=8,
        projection_dim=16,
        initializer_range=0.2,
    )
    return CLIPVisionModelWithProjection(config)


def tiny_config(world: Path, out: Path, kind: str = "prior", **train: Any) -> Config:
    """Configuration of a stage; the denoiser needs world/prior, motion world/denoiser too."""
    settings: dict[str, Any] = {
        "num_steps": 4,
        "batch_size": 4,
        "ema_decay": 0.9,
        "log_every": 1,
        "validate_every": 2,
        "num_validation_subjects": 3,
        "picture_every": 0,
        "picture_steps": 2,
        "checkpoint_every": 2,
        "drop_all": 0.1,
    }
    is_motion = kind == "motion"
    return Config(
        run=RunConfig(out=out),
        data=DataConfig(
            index=world / "people" / ("sequences.json" if is_motion else "index.json"),
            frames=is_motion,
            height=HEIGHT,
            width=WIDTH,
            visibility=VisibilityConfig(min_references=1, max_references=3),
        ),
        encoders=EncodersConfig(vae=world / "vae", image_encoder=world / "clip", clip_fit="pad"),
        prior=PRIOR if kind == "prior" else replace(PRIOR, weights=world / "prior"),
        jci=JCIConfig(num_tokens=4, num_heads=2, num_layers=1),
        unet=replace(UNET, weights=world / "denoiser") if is_motion else UNET,
        motion=MotionStageConfig(num_heads=2, norm_num_groups=4),
        optim=OptimConfig(learning_rate=2e-3, num_warmup_steps=2),
        train=TrainConfig(**(settings | train)),
    )
