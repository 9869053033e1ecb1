"""Tiny denoisers and inputs for the tests of this folder: 2x2 grid of 8 x 4 latents, factor 2."""

from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn

from jcdm.config import JCIConfig, MotionConfig, UNetConfig
from jcdm.models.denoiser import JCDMDenoiser
from jcdm.models.unet import unet_config_dict

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
FRAMES = MOTION | {"axis": "frames"}
CHANNELS = 4
TIMESTEPS = torch.tensor([300, 999])


def randomise(module: nn.Module, seed: int = 0) -> nn.Module:
    """Fill every parameter with small random numbers, also those that start at zero."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(0.2 * torch.randn(parameter.shape, generator=generator))
    return module


def build(motion: dict[str, Any] | None = None, **changes: Any) -> JCDMDenoiser:
    """Build an untrained tiny denoiser."""
    torch.manual_seed(0)
    options: dict[str, Any] = {
        "grid_rows": 2,
        "grid_cols": 2,
        "latent_channels": CHANNELS,
        "vae_factor": 2,
        "appearance_dim": 10,
        "unet_config": unet_config_dict(UNET, CHANNELS),
        "guider_channels": [4, 6],
        "jci_config": asdict(JCIConfig(num_tokens=3, num_heads=2, num_layers=1)),
        "motion_config": motion,
    }
    return JCDMDenoiser(**(options | changes)).eval()


def conditions(
    batch: int = 2, views: int = 4, height: int = 8, width: int = 4, seed: int = 1
) -> dict[str, Tensor]:
    """Draw arguments of `JCDMDenoiser.condition`: two reference views first, then targets."""
    generator = torch.Generator().manual_seed(seed)
    visible = torch.zeros(batch, views, dtype=torch.bool)
    visible[:, : views // 2] = True
    return {
        "embeddings": torch.randn(batch, views, 10, generator=generator),
        "visible": visible,
        "present": torch.ones(batch, views, dtype=torch.bool),
        "pose_maps": torch.rand(batch, views, 3, 2 * height, 2 * width, generator=generator),
        "reference_latents": torch.randn(
            batch, views, CHANNELS, height, width, generator=generator
        ),
    }


def noisy_grid(batch: int = 2, height: int = 16, width: int = 8, seed: int = 2) -> Tensor:
    """Draw a grid of noise (batch, C, height, width)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, CHANNELS, height, width, generator=generator)
