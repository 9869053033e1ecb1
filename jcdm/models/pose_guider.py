"""The pose guider: pose maps become features, added behind the U-Net's first convolution."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from jcdm.errors import ConfigError


def _num_halvings(factor: int) -> int:
    """Return log2 of the VAE's factor, or raise a ConfigError where that is no whole number."""
    if factor < 1 or factor & (factor - 1):
        raise ConfigError(
            f"the pose guider halves its input until it has the latents' size: found a VAE factor "
            f"of {factor}, expected a power of two. Use another encoders.vae."
        )
    return factor.bit_length() - 1


class PoseGuider(nn.Module):
    """Convolutions that bring a grid of pose maps to the size and width of the U-Net's input stage.

    One stride-2 convolution a halving, SiLU between all. The last convolution starts at zero, so
    that an untrained guider changes nothing (after ControlNet's condition stem, Zhang et al., 2023;
    layout and key names as in the published JCDM weights).
    """

    def __init__(
        self,
        *,
        out_channels: int = 320,
        block_out_channels: Sequence[int] = (16, 32, 96, 256),
        factor: int = 8,
    ) -> None:
        super().__init__()
        num_widths = _num_halvings(factor) + 1
        if len(block_out_channels) != num_widths:
            raise ConfigError(
                f"unet.pose_guider_channels has {len(block_out_channels)} widths; a VAE with "
                f"factor {factor} needs {num_widths}: one, and one more a halving."
            )
        self.conv_in = nn.Conv2d(3, block_out_channels[0], 3, padding=1)
        self.blocks = nn.ModuleList()
        for width, next_width in pairwise(block_out_channels):
            self.blocks.append(nn.Conv2d(width, width, 3, padding=1))
            self.blocks.append(nn.Conv2d(width, next_width, 3, padding=1, stride=2))
        self.conv_out = nn.Conv2d(block_out_channels[-1], out_channels, 3, padding=1)
        for parameter in self.conv_out.parameters():
            nn.init.zeros_(parameter)

    def forward(self, pose_grid: Tensor) -> Tensor:
        """Turn a pose grid (B,3,f*gh,f*gw) in [0,1] into features (B,out_channels,gh,gw)."""
        hidden = F.silu(self.conv_in(pose_grid))
        for block in self.blocks:
            hidden = F.silu(block(hidden))
        return self.conv_out(hidden)
