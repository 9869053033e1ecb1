"""A saved random pipeline and drawn-at-random people on disk: views of 32 x 16 pixels."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL
from PIL import Image
from torch import nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from jcdm import config
from jcdm.data.index import write_index
from jcdm.diffusion.schedule import build_denoiser_scheduler, build_prior_scheduler
from jcdm.models.apm import AppearancePriorTransformer
from jcdm.models.denoiser import JCDMDenoiser
from jcdm.models.unet import unet_config_dict
from jcdm.pipelines.multiview import JCDMPipeline
from jcdm.records import SubjectRecord, ViewRecord

HEIGHT, WIDTH, CHANNELS, APPEARANCE, CLIP_SIZE = 32, 16, 4, 10, 16
UNET = config.UNetConfig(
    block_out_channels=(8, 16),
    attention_levels=(True, False),
    layers_per_block=1,
    cross_attention_dim=12,
    num_heads=2,
    norm_num_groups=4,
    pose_guider_channels=(4, 6),
)
MOTION = asdict(config.MotionConfig(num_heads=2, norm_num_groups=4, max_positions=6))


def randomise(module: nn.Module, seed: int = 5) -> Any:
    """Fill every parameter with random numbers, also those that start at zero."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(0.2 * torch.randn(parameter.shape, generator=generator))
    return module.eval()


def build_prior(seed: int = 5) -> AppearancePriorTransformer:
    prior = AppearancePriorTransformer(
        embed_dim=APPEARANCE,
        num_layers=1,
        num_heads=2,
        head_dim=8,
        pose_hidden_dim=8,
        num_view_heads=2,
    )
    return randomise(prior, seed)


def build_denoiser(seed: int = 5, motion: dict[str, Any] | None = MOTION) -> JCDMDenoiser:
    denoiser = JCDMDenoiser(
        grid_rows=2,
        grid_cols=2,
        latent_channels=CHANNELS,
        vae_factor=2,
        appearance_dim=APPEARANCE,
        unet_config=unet_config_dict(UNET, CHANNELS),
        guider_channels=[4, 6],
        jci_config=asdict(config.JCIConfig(num_tokens=3, num_heads=2, num_layers=1)),
        motion_config=motion,
    )
    return randomise(denoiser, seed)


def save_pipeline(folder: Path, motion: dict[str, Any] | None = MOTION) -> Path:
    """Save a random pipeline whose denoiser has motion modules."""
    torch.manual_seed(0)
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(8, 8),
        latent_channels=CHANNELS,
        norm_num_groups=4,
        layers_per_block=1,
    )
    clip = CLIPVisionConfig(
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=CLIP_SIZE,
        patch_size=8,
        projection_dim=APPEARANCE,
    )
    pipeline = JCDMPipeline(
        vae=vae.eval(),
        image_encoder=CLIPVisionModelWithProjection(clip).eval(),
        prior=build_prior(),
        denoiser=build_denoiser(motion=motion),
        scheduler=build_denoiser_scheduler(config.ScheduleConfig()),
        prior_scheduler=build_prior_scheduler(),
        height=HEIGHT,
        width=WIDTH,
        clip_fit="pad",
    )
    pipeline.save_pretrained(folder)
    return folder


def save_people(folder: Path, *, num_people: int, num_views: int) -> Path:
    """Write people of random pixels and poses; returns the index."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(num_views)
    records = []
    for person in range(num_people):
        views = []
        for view in range(num_views):
            image = folder / f"{person}_{view}.png"
            pixels = random.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
            Image.fromarray(pixels).save(image)
            joints, found = random.random((18, 2)), np.ones(18, bool)
            views.append(ViewRecord(image=image, keypoints=joints, keypoint_valid=found))
        name = f"person{person}"
        records.append(SubjectRecord(subject=name, views=tuple(views), split="test"))
    write_index(folder / "index.json", records)
    return folder / "index.json"


def make_config(out: Path, index: Path, pipeline: Path, **sample: Any) -> config.TestConfig:
    options = {"num_steps": 2, "prior_steps": 2, "batch_size": 2, **sample}
    return config.TestConfig(
        run=config.RunConfig(out=out, seed=3),
        data=config.TestDataConfig(index=index, num_subjects=3),
        sample=config.SampleConfig(pipeline=pipeline, **options),
    )
