"""Tiny random pipelines and inputs: views of 16 x 8 pixels, a 2 x 2 grid, VAE factor 2."""

from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL
from PIL import Image
from torch import nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from jcdm.config import JCIConfig, MotionConfig, ScheduleConfig, UNetConfig
from jcdm.diffusion.schedule import build_denoiser_scheduler, build_prior_scheduler
from jcdm.models.apm import AppearancePriorTransformer
from jcdm.models.denoiser import JCDMDenoiser
from jcdm.models.unet import unet_config_dict
from jcdm.records import NUM_KEYPOINTS, Batch

HEIGHT, WIDTH, CHANNELS, APPEARANCE, CLIP_SIZE = 16, 8, 4, 10, 16
UNET = UNetConfig(
    block_out_channels=(8, 16),
    attention_levels=(True, False),
    layers_per_block=1,
    cross_attention_dim=12,
    num_heads=2,
    norm_num_groups=4,
    pose_guider_channels=(4, 6),
)
MOTION = asdict(MotionConfig(num_heads=2, norm_num_groups=4, max_positions=6, num_frames=3))


def randomise(module: nn.Module, scale: float = 0.2) -> nn.Module:
    """Fill every parameter with random numbers, also those that start at zero."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(scale * torch.randn(parameter.shape, generator=generator))
    return module.eval()


def build_vae() -> AutoencoderKL:
    torch.manual_seed(0)
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(8, 8),
        latent_channels=CHANNELS,
        norm_num_groups=4,
        layers_per_block=1,
        sample_size=16,
    ).eval()


def build_clip() -> CLIPVisionModelWithProjection:
    torch.manual_seed(1)
    config = CLIPVisionConfig(
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=CLIP_SIZE,
        patch_size=8,
        projection_dim=APPEARANCE,
    )
    return CLIPVisionModelWithProjection(config).eval()


def build_prior(**changes: Any) -> AppearancePriorTransformer:
    options = {
        "embed_dim": APPEARANCE,
        "num_layers": 1,
        "num_heads": 2,
        "head_dim": 8,
        "pose_hidden_dim": 8,
        "num_view_heads": 2,
    }
    return randomise(AppearancePriorTransformer(**(options | changes)))


def build_denoiser(motion: dict[str, Any] | None = None, **changes: Any) -> JCDMDenoiser:
    options: dict[str, Any] = {
        "grid_rows": 2,
        "grid_cols": 2,
        "latent_channels": CHANNELS,
        "vae_factor": 2,
        "appearance_dim": APPEARANCE,
        "unet_config": unet_config_dict(UNET, CHANNELS),
        "guider_channels": [4, 6],
        "jci_config": asdict(JCIConfig(num_tokens=3, num_heads=2, num_layers=1)),
        "motion_config": motion,
    }
    return randomise(JCDMDenoiser(**(options | changes)))


def components(
    motion: dict[str, Any] | None = None, prior: AppearancePriorTransformer | None = None
) -> dict[str, Any]:
    """Build what a pipeline is made of; sizes of the view included."""
    return {
        "vae": build_vae(),
        "image_encoder": build_clip(),
        "prior": prior or build_prior(),
        "denoiser": build_denoiser(motion),
        "scheduler": build_denoiser_scheduler(ScheduleConfig()),
        "prior_scheduler": build_prior_scheduler(),
        "height": HEIGHT,
        "width": WIDTH,
    }


def photo(seed: int, height: int = 20, width: int = 10) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(pixels)


def pose(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((NUM_KEYPOINTS, 2), np.float32)


def person(seed: int, num_references: int = 2, num_targets: int = 2) -> tuple[list, list, list]:
    """References, their keypoints and target poses of one made-up person."""
    first, last = 100 * seed, 100 * seed + num_references
    photos = [photo(i) for i in range(first, last)]
    given = [pose(i) for i in range(first, last)]
    return photos, given, [pose(last + i) for i in range(num_targets)]


def batch(seeds: list[int], num_references: int = 2, num_absent: int = 0) -> Batch:
    """Draw a data set's batch: each person's numbers follow its seed."""
    rows: dict[str, list[torch.Tensor]] = {}
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        for name, shape in {
            "images": (4, 3, HEIGHT, WIDTH),
            "clip_pixels": (4, 3, CLIP_SIZE, CLIP_SIZE),
            "pose_maps": (4, 3, HEIGHT, WIDTH),
            "keypoints": (4, NUM_KEYPOINTS, 2),
        }.items():
            numbers = torch.rand(shape, generator=generator)
            rows.setdefault(name, []).append(numbers * 2 - 1 if name == "images" else numbers)
    count, place = len(seeds), torch.arange(4)
    return Batch(
        **{name: torch.stack(values) for name, values in rows.items()},
        keypoint_valid=torch.ones(count, 4, NUM_KEYPOINTS, dtype=torch.bool),
        visible=(place < num_references).repeat(count, 1),
        present=(place < 4 - num_absent).repeat(count, 1),
        subjects=tuple(f"subject {seed}" for seed in seeds),
        keys=torch.tensor(seeds),
    )
