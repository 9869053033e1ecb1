"""Sizes and sources of the networks: frozen encoders, prior, injection, U-Net, motion module."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

from jcdm.config.checks import require, require_at_least


@dataclass(frozen=True, kw_only=True)
class EncodersConfig:
    """Local folders of the frozen encoders (diffusers and transformers layouts).

    `layout`: encode views one by one, or the whole grid at once as published. `clip_fit`: what CLIP
    sees of a tall view: its centre square (published) or all of it on a padded square. `cache`:
    what they make of every photograph, built by `python -m jcdm cache`: a folder or a URL that
    fsspec knows; shards of a URL are copied to `cache_copies`, at most `cache_copies_gb` of them.
    """

    vae: Path
    image_encoder: Path
    layout: Literal["view", "grid"] = "view"
    clip_fit: Literal["crop", "pad"] = "crop"
    cache: Path | None = None
    cache_copies: Path | None = None
    cache_copies_gb: float = 50.0

    def __post_init__(self) -> None:
        require(
            self.cache is None or self.layout == "view",
            "encoders.cache needs encoders.layout=view: the published layout encodes whole grids, "
            "which differ in every sample.",
        )
        require(
            self.cache_copies_gb > 0,
            f"encoders.cache_copies_gb must be > 0, got {self.cache_copies_gb}.",
        )


@dataclass(frozen=True, kw_only=True)
class PriorConfig:
    """Size of the appearance prior transformer (APM), and how stage 2 obtains its predictions.

    `pretrained`: stage 1 starts from the Kandinsky 2.2 prior (folder or weight file). `weights` is
    a trained prior folder: required where `source` is `apm` in stage 2. `predictions`: what it
    predicts for every arrangement, built by `python -m jcdm cache --predictions`: folder or URL.
    """

    num_layers: int = 20
    num_heads: int = 32
    head_dim: int = 64
    pose_hidden_dim: int = 512
    num_view_heads: int = 8
    attend_across_views: bool = True
    visibility_embedding: Literal["learned", "clip_constant"] = "learned"
    timesteps: Literal["sample", "view"] = "sample"
    noise_offset: float = 0.1
    clip_mean: float | None = None
    clip_std: float | None = None
    source: Literal["apm", "oracle"] = "apm"
    pretrained: Path | None = None
    weights: Path | None = None
    training_steps: int = 4
    predictions: Path | None = None

    def __post_init__(self) -> None:
        require(
            self.pretrained is None or self.weights is None,
            "prior.pretrained and prior.weights are both set; expected one: weights of this "
            "project, or Kandinsky's.",
        )
        require_at_least(
            "prior",
            1,
            num_layers=self.num_layers,
            num_heads=self.num_heads,
            head_dim=self.head_dim,
            training_steps=self.training_steps,
        )
        width = self.num_heads * self.head_dim
        require(
            width % self.num_view_heads == 0,
            f"prior.num_view_heads ({self.num_view_heads}) must divide the prior's width "
            f"prior.num_heads * prior.head_dim = {width}.",
        )


@dataclass(frozen=True, kw_only=True)
class JCIConfig:
    """Joint condition injection: how V embeddings become the U-Net's tokens.

    `into_cells`: a token of every view's own, which is also added to the features of its own cell,
    so that the U-Net need not find out which token is which cell's. `patch_grid`: n = beside those
    n x n tokens of every reference view's patches, for detail that an embedding cannot hold; 0 =
    none.
    """

    kind: Literal["cross_attention", "linear"] = "cross_attention"
    num_tokens: int = 16
    num_heads: int = 8
    num_layers: int = 2
    into_cells: bool = False
    patch_grid: int = 0

    def __post_init__(self) -> None:
        require_at_least("jci", 1, num_tokens=self.num_tokens, num_layers=self.num_layers)
        require_at_least("jci", 0, patch_grid=self.patch_grid)
        require(
            self.kind != "linear" or not self.into_cells,
            "jci.into_cells is true, but jci.kind=linear, the published injection, makes tokens "
            "alone. Set jci.into_cells=false or jci.kind=cross_attention.",
        )
        require(
            self.kind != "linear" or self.patch_grid == 0,
            f"jci.patch_grid is {self.patch_grid}, but jci.kind=linear, the published injection, "
            "makes tokens of embeddings alone. Set jci.patch_grid=0 or jci.kind=cross_attention.",
        )

    def count_tokens(self, num_views: int) -> int:
        """How many tokens `cross_attention` makes of so many views."""
        return self.num_tokens + num_views * (self.into_cells + self.patch_grid**2)


@dataclass(frozen=True, kw_only=True)
class UNetConfig:
    """Size of the denoising U-Net and its pose guider. `attention_levels` False = a plain level.

    `pretrained`: stage 2 starts from Stable Diffusion 1.x (folder or single file); `weights`: from
    a trained denoiser. `attend_across_cells` False = self-attention stays inside each view's cell,
    which cuts off what views know of each other.
    """

    block_out_channels: tuple[int, ...] = (320, 640, 1280, 1280)
    attention_levels: tuple[bool, ...] = (True, True, True, False)
    layers_per_block: int = 2
    cross_attention_dim: int = 768
    num_heads: int = 8
    norm_num_groups: int = 32
    pose_guider_channels: tuple[int, ...] = (16, 32, 96, 256)
    attend_across_cells: bool = True
    pretrained: Path | None = None
    weights: Path | None = None

    def __post_init__(self) -> None:
        require(
            self.pretrained is None or self.weights is None,
            "unet.pretrained and unet.weights are both set; expected one: weights of this project, "
            "or Stable Diffusion's.",
        )
        levels = (len(self.block_out_channels), len(self.attention_levels))
        require(
            levels[0] == levels[1],
            f"unet.block_out_channels has {levels[0]} levels and unet.attention_levels "
            f"{levels[1]}; expected one flag a level.",
        )
        for width in self.block_out_channels:
            require(
                width % self.norm_num_groups == 0 and width % self.num_heads == 0,
                f"unet.block_out_channels: {width} must be divisible by unet.norm_num_groups "
                f"({self.norm_num_groups}) and unet.num_heads ({self.num_heads}).",
            )


@dataclass(frozen=True, kw_only=True)
class MotionConfig:
    """The motion module: attention across the views of a grid, or across frames.

    `width_divisor` narrows its inner width; 1 as published.
    """

    axis: Literal["views", "frames"] = "views"
    num_heads: int = 8
    norm_num_groups: int = 32
    max_positions: int = 32
    num_frames: int = 8
    width_divisor: int = 1

    def __post_init__(self) -> None:
        require_at_least(
            "motion",
            1,
            num_heads=self.num_heads,
            num_frames=self.num_frames,
            width_divisor=self.width_divisor,
        )


@dataclass(frozen=True, kw_only=True)
class MotionStageConfig(MotionConfig):
    """The motion module of a run; `pretrained`: a published motion file that it starts from."""

    pretrained: Path | None = None

    @property
    def module(self) -> MotionConfig:
        """What describes the module itself, and is stored with its weights."""
        return MotionConfig(**{f.name: getattr(self, f.name) for f in fields(MotionConfig)})
