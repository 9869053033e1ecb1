"""Three sizes that costs are measured at: `tiny` for tests, `mid` for a CPU, `full` as published.

A size says how large the parts are and what a step's batch is. The frozen encoders of `mid` are
scaled so that they have the share of a published step's operations that they have at full size
with views of 256 x 192: 76 % in stage 2, 96 % in stage 1. That takes a CLIP tower a stage.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from jcdm.config import (
    Config,
    DataConfig,
    EncodersConfig,
    JCIConfig,
    MotionStageConfig,
    OptimConfig,
    Precision,
    PriorConfig,
    RunConfig,
    TrainConfig,
    UNetConfig,
    VisibilityConfig,
)
from jcdm.errors import ConfigError
from jcdm.training.plan import CLIP_BIGG, STABLE_DIFFUSION_VAE
from jcdm.training.plan_objects import Sizes

ENCODER_SHARES = {"denoiser": 0.76, "prior": 0.96}
"""Share of the frozen encoders in the operations of a published step, full size, 256 x 192."""
_NO_FILE = Path("made-in-memory")


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchSize:
    """Sizes of all parts (arguments of their classes), of a view in pixels, and of a batch.

    batch_size, prior_batch_size: people a step of stage 2 and of stage 1, each in a 2x2 grid.
    clip, prior_clip: the CLIP towers beside stage 2 and stage 1.
    """

    name: str
    height: int
    width: int
    batch_size: int
    prior_batch_size: int
    vae: Mapping[str, Any]
    clip: Mapping[str, Any]
    prior_clip: Mapping[str, Any]
    unet: UNetConfig = field(default_factory=UNetConfig)
    prior: PriorConfig = field(default_factory=PriorConfig)
    jci: JCIConfig = field(default_factory=JCIConfig)
    motion: MotionStageConfig = field(default_factory=MotionStageConfig)

    def encoder_sizes(self, kind: str) -> Sizes:
        """What the encoders of a stage decide: latent channels, factor, CLIP's square and width."""
        clip = self.prior_clip if kind == "prior" else self.clip
        return Sizes(
            latent_channels=self.vae["latent_channels"],
            factor=2 ** (len(self.vae["block_out_channels"]) - 1),
            clip_size=clip["image_size"],
            width=clip["projection_dim"],
            patch_dim=clip["hidden_size"],
        )

    def config(
        self,
        kind: str,
        *,
        published: bool = False,
        source: Literal["apm", "oracle"] | None = None,
        mixed_precision: Precision = "no",
    ) -> Config:
        """Configuration of a stage; `published`: the recipe of the published code.

        That is: the VAE sees whole grids, the true embeddings steer the painting, and one linear
        layer makes one token a view of them. source: of the embeddings, None = the recipe's.
        """
        is_prior = kind == "prior"
        return Config(
            run=RunConfig(out=_NO_FILE),
            data=DataConfig(
                index=_NO_FILE,
                height=self.height,
                width=self.width,
                visibility=VisibilityConfig(kind="prefix" if published else "any"),
            ),
            encoders=EncodersConfig(
                vae=_NO_FILE, image_encoder=_NO_FILE, layout="grid" if published else "view"
            ),
            optim=OptimConfig(learning_rate=1e-5),
            train=TrainConfig(
                num_steps=1,
                batch_size=self.prior_batch_size if is_prior else self.batch_size,
                mixed_precision=mixed_precision,
            ),
            prior=replace(self.prior, source=source or ("oracle" if published else "apm")),
            jci=replace(self.jci, kind="linear", patch_grid=0) if published else self.jci,
            unet=self.unet,
            motion=self.motion,
        )


_SMALL_VAE: dict[str, Any] = STABLE_DIFFUSION_VAE | {"norm_num_groups": 8}
_SMALL_CLIP = {"patch_size": 14, "image_size": 224, "projection_dim": 1280}

TINY = BenchSize(
    name="tiny",
    height=64,
    width=64,
    batch_size=2,
    prior_batch_size=2,
    vae=_SMALL_VAE | {"block_out_channels": (8, 8, 16, 16), "layers_per_block": 1},
    clip={
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "patch_size": 16,
        "image_size": 64,
        "projection_dim": 32,
    },
    prior_clip={
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "patch_size": 16,
        "image_size": 64,
        "projection_dim": 32,
    },
    unet=UNetConfig(
        block_out_channels=(16, 32),
        attention_levels=(False, True),
        layers_per_block=1,
        cross_attention_dim=32,
        num_heads=2,
        norm_num_groups=4,
        pose_guider_channels=(4, 4, 8, 8),
    ),
    prior=PriorConfig(num_layers=1, num_heads=2, head_dim=16, pose_hidden_dim=32, num_view_heads=2),
    jci=JCIConfig(num_tokens=4, num_heads=2, num_layers=1),
    motion=MotionStageConfig(num_heads=2, norm_num_groups=4),
)

MID = BenchSize(
    name="mid",
    height=128,
    width=128,
    batch_size=2,
    prior_batch_size=8,
    vae=_SMALL_VAE | {"block_out_channels": (32, 48, 96, 96)},
    clip=_SMALL_CLIP
    | {
        "hidden_size": 640,
        "intermediate_size": 2560,
        "num_hidden_layers": 5,
        "num_attention_heads": 10,
    },
    prior_clip=_SMALL_CLIP
    | {
        "hidden_size": 768,
        "intermediate_size": 3072,
        "num_hidden_layers": 7,
        "num_attention_heads": 12,
    },
    unet=UNetConfig(
        block_out_channels=(64, 128, 256, 256),
        pose_guider_channels=(4, 8, 20, 52),  # a fifth of the published widths, as the U-Net's
    ),
    prior=PriorConfig(num_layers=10, num_heads=8),
    jci=JCIConfig(num_layers=1),
)

FULL = BenchSize(
    name="full",
    height=256,
    width=192,
    batch_size=8,
    prior_batch_size=32,
    vae=STABLE_DIFFUSION_VAE,
    clip=CLIP_BIGG,
    prior_clip=CLIP_BIGG,
)

SIZES = {size.name: size for size in (TINY, MID, FULL)}


def find_size(name: str) -> BenchSize:
    """Return a size by name. Errors: ConfigError naming the known ones."""
    if name not in SIZES:
        raise ConfigError(f"--size is {name!r}; expected one of {', '.join(SIZES)}.")
    return SIZES[name]
