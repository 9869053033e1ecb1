"""The denoising U-Net: diffusers' class as it is, with an input convolution that knows of poses."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor, nn

from jcdm.config import UNetConfig
from jcdm.errors import CheckpointError, ConfigError
from jcdm.models.loading import read_model


class PoseStem(nn.Conv2d):
    """U-Net input convolution that adds pose features to its result.

    Input (B, in_channels + out_channels, gh, gw): latents first, pose features last.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Convolve the latents and add the pose features: (B, out_channels, gh, gw)."""
        latents, pose = x.split([self.in_channels, self.out_channels], dim=1)
        hidden = super().forward(latents)
        return hidden + pose.to(hidden.dtype)


def input_channels(latent_channels: int) -> int:
    """Count the U-Net's latent inputs: noisy latents C, visibility mask 1, reference latents C."""
    return 2 * latent_channels + 1


def unet_config_dict(config: UNetConfig, latent_channels: int) -> dict[str, Any]:
    """Write our U-Net section as arguments of diffusers' `UNet2DConditionModel`.

    diffusers' `attention_head_dim` is, for this class, the number of heads.
    """
    down = ["CrossAttnDownBlock2D" if a else "DownBlock2D" for a in config.attention_levels]
    up = ["CrossAttnUpBlock2D" if a else "UpBlock2D" for a in config.attention_levels]
    return {
        "in_channels": input_channels(latent_channels),
        "out_channels": latent_channels,
        "down_block_types": down,
        "up_block_types": up[::-1],
        "block_out_channels": list(config.block_out_channels),
        "layers_per_block": config.layers_per_block,
        "cross_attention_dim": config.cross_attention_dim,
        "attention_head_dim": config.num_heads,
        "norm_num_groups": config.norm_num_groups,
    }


def install_pose_stem(unet: UNet2DConditionModel) -> UNet2DConditionModel:
    """Put a `PoseStem` in the place of `conv_in`, keeping its parameters; returns the same U-Net.

    Needed after diffusers' own `from_pretrained`, which builds a plain convolution.
    """
    plain: Any = unet.conv_in
    if isinstance(plain, PoseStem):
        return unet
    stem = PoseStem(
        plain.in_channels,
        plain.out_channels,
        plain.kernel_size,
        padding=plain.padding,
        device="meta",
    )
    stem.weight, stem.bias = plain.weight, plain.bias
    unet.conv_in = stem
    return unet


def zero_extend_conv_in(unet: UNet2DConditionModel, in_channels: int) -> UNet2DConditionModel:
    """Give the input convolution more channels, with zero weights; returns the same U-Net.

    The result does not depend on what the new channels hold until training moves their weights.
    """
    conv = unet.conv_in
    num_extra = in_channels - conv.in_channels
    if num_extra < 0:
        raise ConfigError(
            f"the U-Net reads {conv.in_channels} channels, expected at most {in_channels}. "
            "Choose a U-Net that fits the VAE's latent channels."
        )
    zeros = conv.weight.new_zeros(conv.out_channels, num_extra, *conv.kernel_size)
    conv.weight = nn.Parameter(torch.cat([conv.weight.detach(), zeros], dim=1))
    conv.in_channels = in_channels
    unet.register_to_config(in_channels=in_channels)
    return unet


def check_channels(unet: UNet2DConditionModel, latent_channels: int) -> None:
    """Raise a ConfigError unless the U-Net reads 2C+1 and writes C channels."""
    found = (unet.config["in_channels"], unet.config["out_channels"])
    expected = (input_channels(latent_channels), latent_channels)
    if found != expected:
        raise ConfigError(
            f"the U-Net reads {found[0]} and writes {found[1]} channels, expected {expected[0]} "
            f"and {expected[1]} with {latent_channels} latent channels. Correct unet_config."
        )


def build_unet(unet_config: Mapping[str, Any]) -> UNet2DConditionModel:
    """Build a U-Net with random weights and a pose stem from diffusers' arguments."""
    known = {key: value for key, value in unet_config.items() if not key.startswith("_")}
    try:
        unet = UNet2DConditionModel(**known)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"diffusers refuses this U-Net configuration: {error}") from error
    return install_pose_stem(unet)


def unet_from_folder(folder: Path, *, latent_channels: int) -> UNet2DConditionModel:
    """Read a pretrained U-Net (diffusers layout), widened to our inputs and with a pose stem.

    A U-Net of C input channels (Stable Diffusion) is zero-extended, one of 2C+1 taken as it is.
    """
    if not (folder / "config.json").is_file():
        raise CheckpointError(
            f"no U-Net in {folder}: config.json not found, expected a diffusers folder with "
            "config.json and diffusion_pytorch_model.safetensors. Set unet.pretrained."
        )
    load = partial(UNet2DConditionModel.from_pretrained, folder, local_files_only=True)
    unet, _ = read_model(load, folder)
    found = (unet.config["in_channels"], unet.config["out_channels"])
    full = input_channels(latent_channels)
    if found not in ((latent_channels, latent_channels), (full, latent_channels)):
        raise CheckpointError(
            f"the U-Net in {folder} reads {found[0]} and writes {found[1]} channels, expected "
            f"{latent_channels} or {full} and {latent_channels}. "
            "Choose a U-Net and a VAE that belong together."
        )
    return install_pose_stem(zero_extend_conv_in(unet, full))
