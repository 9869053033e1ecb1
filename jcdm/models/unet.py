"""The denoising U-Net: diffusers' class as it is, with an input convolution that knows of poses."""

from collections.abc import Mapping
from typing import Any

from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor, nn

from jcdm.config import UNetConfig
from jcdm.errors import ConfigError


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
