"""A whole tiny evidence: random frozen parts, a row of each kind, trainings of two steps."""

from dataclasses import replace
from pathlib import Path

import torch
import yaml
from diffusers import AutoencoderKL
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from jcdm.config import (
    Config,
    DataConfig,
    DrawConfig,
    EncodersConfig,
    JCIConfig,
    MotionStageConfig,
    OptimConfig,
    PriorConfig,
    RunConfig,
    TrainConfig,
    UNetConfig,
)
from jcdm.diffusion.schedule import build_denoiser_scheduler, build_prior_scheduler
from jcdm.evidence.reader import PersonReader
from jcdm.models.denoiser import denoiser_from_config
from jcdm.pipelines import JCDMPipeline
from jcdm.plain import to_yaml
from jcdm.training.stages.build import prior_from_config

HEIGHT, WIDTH = 32, 24
ROWS = {
    "calibration": {"about": "known", "kind": "calibration", "tasks": ["references_2"]},
    "naive": {"about": "no model", "kind": "naive", "tasks": ["references_2"]},
    "as_they_are": {
        "about": "weights as they are",
        "tasks": ["references_2"],
        "variants": {"two": {"num_steps": 2, "prior_source": "mean"}},
    },
    "mismatch": {
        "about": "noise levels of published sampling",
        "schedule": "published",
        "tasks": ["references_2"],
        "variants": {"two": {"num_steps": 2, "prior_source": "mean"}},
    },
    "prior": {
        "about": "the prior",
        "kind": "prior",
        "training": "prior",
        "tasks": ["references_1", "references_2"],
    },
    "base": {
        "about": "defaults",
        "training": "base",
        "seeds": [0, 1],
        "sheets": 1,
        "tasks": ["references_2"],
        "beside": "base",
        "variants": {"two": {"num_steps": 2}, "one": {"num_steps": 1, "prior_source": "mean"}},
    },
    "prefix": {
        "about": "in other places",
        "training": "prefix",
        "tasks": ["references_2"],
        "beside": "base",
        "variants": {"two": {"num_steps": 2}},
    },
    "motion": {"about": "in motion", "kind": "motion", "training": "motion"},
}
TRAININGS = {
    "prior": {"stage": "prior"},
    "base": {"stage": "denoiser", "uses": "prior"},
    "prefix": {
        "stage": "denoiser",
        "uses": "prior",
        "options": ["--data.visibility.kind=prefix"],
    },
    "motion": {"stage": "motion", "uses": "base"},
}


def make_evidence(folder: Path) -> Path:
    """Write weights, configurations and the plan; returns the plan's file."""
    weights, configs = folder / "weights", folder / "configs"
    config = _config(folder, weights)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        _save_pipeline(weights, config)
        PersonReader(channels=(8, 8, 8, 8), groups=4).save_pretrained(weights / "reader")
    (weights / "sampling.json").write_text('{"num_steps": 1, "prior_steps": 3}', encoding="utf-8")
    configs.mkdir()
    moving = replace(config.data, index=config.data.index.with_name("sequences.json"), frames=True)
    files = {
        "stage1_prior": config,
        "stage2_denoiser": replace(config, data=replace(config.data, arrangements=1)),
        "stage2_motion": replace(
            config,
            data=replace(moving, arrangements=1),
        ),
    }
    for name, entry in files.items():
        (configs / f"{name}.yaml").write_text(to_yaml(entry, configs), encoding="utf-8")
    plan = {
        "benchmark": {"seed": 5, "num_people": 2, "height": HEIGHT, "width": WIDTH},
        "configs": ".",
        "common": {"prior": ["--optim.weight_decay=0.02"]},
        "trainings": TRAININGS,
        "rows": ROWS,
    }
    (configs / "rows.yaml").write_text(yaml.safe_dump(plan, sort_keys=False), encoding="utf-8")
    return configs / "rows.yaml"


def _config(folder: Path, weights: Path) -> Config:
    return Config(
        run=RunConfig(out=folder / "unused"),
        data=DataConfig(
            index=folder / "people" / "index.json",
            height=HEIGHT,
            width=WIDTH,
            random_crop=False,
            draw=DrawConfig(num_identities=3, num_views=4, num_sequences=2, num_frames=6),
        ),
        encoders=EncodersConfig(
            vae=weights / "vae",
            image_encoder=weights / "image_encoder",
            clip_fit="pad",
        ),
        prior=PriorConfig(
            num_layers=1,
            num_heads=2,
            head_dim=8,
            pose_hidden_dim=8,
            num_view_heads=2,
            clip_mean=0.0,
            clip_std=0.6,
            training_steps=1,
        ),
        jci=JCIConfig(num_tokens=2, num_heads=2, num_layers=1),
        unet=UNetConfig(
            block_out_channels=(8, 16),
            attention_levels=(True, False),
            layers_per_block=1,
            cross_attention_dim=8,
            num_heads=2,
            norm_num_groups=4,
            pose_guider_channels=(4, 4, 4),
        ),
        motion=MotionStageConfig(num_heads=2, norm_num_groups=4),
        optim=OptimConfig(learning_rate=1e-3),
        train=TrainConfig(
            num_steps=2, batch_size=2, num_validation_subjects=0, picture_every=0, log_every=1
        ),
    )


def _save_pipeline(folder: Path, config: Config) -> None:
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(8, 8, 8),
        latent_channels=4,
        norm_num_groups=4,
        layers_per_block=1,
    )
    clip = CLIPVisionConfig(
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=32,
        patch_size=8,
        projection_dim=8,
    )
    JCDMPipeline(
        vae=vae.eval(),
        image_encoder=CLIPVisionModelWithProjection(clip).eval(),
        prior=prior_from_config(config, appearance_dim=8).eval(),
        denoiser=denoiser_from_config(
            config, latent_channels=4, vae_factor=4, appearance_dim=8
        ).eval(),
        scheduler=build_denoiser_scheduler(config.schedule),  # type: ignore[arg-type]
        prior_scheduler=build_prior_scheduler(),  # type: ignore[arg-type]
        height=HEIGHT,
        width=WIDTH,
        clip_fit="pad",
    ).save_pretrained(folder)
