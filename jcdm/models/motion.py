"""The motion module: attention across the views of a grid, or across frames, inside the U-Net.

diffusers' U-Net stays as it is: every module is attached by a forward hook to the layer it follows.
A hook is a bound method, so it stays with its module, also when a whole denoiser is copied.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from einops import rearrange
from torch import Tensor, nn

from jcdm.config import MotionConfig
from jcdm.errors import ConfigError, DataError
from jcdm.grid import GridShape, from_grid, to_grid
from jcdm.models.attention import CrossPositionBlock

AXES = ("views", "frames")


class ViewMotion(nn.Module):
    """Attention between the same pixel of all V cells of a grid, or of F consecutive grids.

    Group norm a cell (a frame), linear in, `CrossPositionBlock`, linear out, residual. The last
    linear layer starts at zero: a fresh module is the identity. Inside, a token has
    channels / width_divisor numbers. After AnimateDiff (Guo et al.,
    2023) with the grid's cells in the place of frames, as in JCDM.
    """

    _gradient_checkpointing_func: Callable[..., Tensor]

    def __init__(
        self,
        channels: int,
        grid: GridShape,
        *,
        axis: str = "views",
        num_heads: int = 8,
        norm_num_groups: int = 32,
        max_positions: int = 32,
        width_divisor: int = 1,
    ) -> None:
        super().__init__()
        if channels % norm_num_groups or channels % (num_heads * width_divisor):
            raise ConfigError(
                f"motion: a U-Net level has {channels} channels, expected a multiple of "
                f"motion.norm_num_groups ({norm_num_groups}) and of motion.num_heads "
                f"({num_heads}) times motion.width_divisor ({width_divisor})."
            )
        width = channels // width_divisor
        self.grid = grid
        self.axis = axis
        self.num_frames = 1
        self.gradient_checkpointing = False
        self.norm = nn.GroupNorm(norm_num_groups, channels, eps=1e-6)
        self.proj_in = nn.Linear(channels, width)
        self.block = CrossPositionBlock(width, num_heads, max_positions)
        self.proj_out = nn.Linear(width, channels)
        nn.init.zeros_(self.proj_out.weight)
        nn.init.zeros_(self.proj_out.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Mix the views of (B,C,gh,gw), or the frames of (B*F,C,gh,gw); same shape."""
        if self.axis == "frames":
            stacked = rearrange(features, "(b p) c h w -> b p c h w", p=self.num_frames)
            return features + rearrange(self._mix(stacked), "b p c h w -> (b p) c h w")
        return features + to_grid(self._mix(from_grid(features, self.grid)), self.grid)

    def _mix(self, stacked: Tensor) -> Tensor:
        """Attend across axis 1, pixel by pixel: (B,P,C,h,w) -> (B,P,C,h,w)."""
        batch, positions, _, height, _ = stacked.shape
        normed = self.norm(rearrange(stacked, "b p c h w -> (b p) c h w"))
        tokens = rearrange(normed, "(b p) c h w -> (b h w) p c", p=positions)
        mixed = self.proj_out(self.block(self.proj_in(tokens)))
        return rearrange(mixed, "(b h w) p c -> b p c h w", b=batch, h=height)

    def change_output(self, _layer: nn.Module, _inputs: Any, output: Any) -> Any:
        """Forward hook: mix what a layer returns, a feature map alone or first in a tuple."""
        features = output[0] if isinstance(output, tuple) else output
        if self.gradient_checkpointing and torch.is_grad_enabled():
            mixed = self._gradient_checkpointing_func(self, features)
        else:
            mixed = self(features)
        return (mixed, *output[1:]) if isinstance(output, tuple) else mixed


class MotionModules(nn.Module):
    """All motion modules of one U-Net, ordered as its blocks; saved with the denoiser.

    One follows each resnet(+attention) pair of every down and up block, and one stands in the
    middle block between its attention and its second resnet.
    """

    def __init__(self, unet: UNet2DConditionModel, grid: GridShape, config: MotionConfig) -> None:
        super().__init__()
        _check_axis(config, grid)
        self.grid = grid
        self.axis = config.axis
        self.trained_frames = config.num_frames
        self.max_positions = config.max_positions

        def build(resnet: Any) -> ViewMotion:
            return ViewMotion(
                resnet.out_channels,
                grid,
                axis=config.axis,
                num_heads=config.num_heads,
                norm_num_groups=config.norm_num_groups,
                max_positions=config.max_positions,
                width_divisor=config.width_divisor,
            )

        def build_row(block: Any) -> nn.ModuleList:
            return nn.ModuleList(build(resnet) for resnet in block.resnets)

        self.down_blocks = nn.ModuleList(map(build_row, unet.down_blocks))
        self.mid_block = build(unet.mid_block.resnets[0])
        self.up_blocks = nn.ModuleList(map(build_row, unet.up_blocks))

    def attach(self, unet: UNet2DConditionModel) -> None:
        """Hook every module to the layer it follows; call once."""
        for layer, motion in self._places(unet):
            layer.register_forward_hook(motion.change_output)

    def prepare(self, latents: Tensor, num_frames: int | None) -> None:
        """Check a batch of grids (B,C,gh,gw) before the U-Net runs, and set the number of frames.

        Raises ConfigError where a cell would be cut to an odd size inside the U-Net, DataError
        where the batch does not hold whole windows of frames.
        """
        if self.axis == "frames":
            frames = self.trained_frames if num_frames is None else num_frames
            self.set_num_frames(frames)
            if len(latents) % frames:
                raise DataError(
                    f"found {len(latents)} grids, expected a multiple of the {frames} frames that "
                    "motion attends across. Pass whole windows, or another num_frames."
                )
            return
        multiple = 2 ** (len(self.down_blocks) - 1)
        height, width = latents.shape[-2] // self.grid.rows, latents.shape[-1] // self.grid.cols
        if height % multiple or width % multiple:
            raise ConfigError(
                f"a view's latent is {height} x {width}; motion needs a multiple of {multiple} "
                f"both ways. Make data.height and data.width a multiple of {multiple} times the "
                "VAE's factor."
            )

    def set_num_frames(self, num_frames: int) -> None:
        """Say how many consecutive grids of the batch belong to one person (axis `frames`).

        It holds until set again: checkpointed activations are computed once more in the backward
        pass and must find the same number.
        """
        if not 1 <= num_frames <= self.max_positions:
            raise ConfigError(
                f"found {num_frames} frames, expected 1 to motion.max_positions "
                f"({self.max_positions}). Use shorter windows."
            )
        for module in self.modules():
            if isinstance(module, ViewMotion):
                module.num_frames = num_frames

    def _places(self, unet: Any) -> Iterator[tuple[nn.Module, ViewMotion]]:
        """Pair the layers to hook with their motion modules: the attention, else the resnet."""
        yield unet.mid_block.attentions[0], self.mid_block
        rows: Any = (*self.down_blocks, *self.up_blocks)
        for block, row in zip((*unet.down_blocks, *unet.up_blocks), rows, strict=True):
            yield from zip(getattr(block, "attentions", None) or block.resnets, row, strict=True)


def _check_axis(config: MotionConfig, grid: GridShape) -> None:
    """Raise a ConfigError for an unknown axis, or for a grid with nothing to attend across."""
    if config.axis not in AXES:
        raise ConfigError(f"motion.axis is {config.axis!r}, expected one of {', '.join(AXES)}.")
    if config.axis == "views" and not 2 <= grid.num_views <= config.max_positions:
        raise ConfigError(
            f"motion across views found a grid of {grid.num_views} cells, expected 2 to "
            f"motion.max_positions ({config.max_positions}). "
            "Set data.grid_rows and data.grid_cols."
        )
