"""The whole trees: what a training run is told, and what a test is told."""

from dataclasses import dataclass, field
from pathlib import Path

from jcdm.config.checks import require
from jcdm.config.data import DataConfig, TestDataConfig
from jcdm.config.learning import OptimConfig, ScheduleConfig, TrainConfig
from jcdm.config.models import EncodersConfig, JCIConfig, MotionStageConfig, PriorConfig, UNetConfig
from jcdm.config.sampling import SampleConfig


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Where a run writes and which seed all its random numbers derive from."""

    out: Path
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything a training run is told; the resolved tree is stored with every checkpoint."""

    run: RunConfig
    data: DataConfig
    encoders: EncodersConfig
    optim: OptimConfig
    train: TrainConfig
    prior: PriorConfig = field(default_factory=PriorConfig)
    jci: JCIConfig = field(default_factory=JCIConfig)
    unet: UNetConfig = field(default_factory=UNetConfig)
    motion: MotionStageConfig = field(default_factory=MotionStageConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)

    def __post_init__(self) -> None:
        if self.prior.predictions is None:
            return
        require(
            self.data.arrangements >= 1 and self.encoders.cache is not None,
            f"prior.predictions needs data.arrangements >= 1 (found {self.data.arrangements}) and "
            f"encoders.cache (found {self.encoders.cache}): what is predicted for arrangements "
            "that never come again, or photographs that may change, cannot be kept.",
        )
        require(
            self.prior.source == "apm",
            "prior.predictions is set, but prior.source=oracle asks for the true embeddings. "
            "Leave one of them out.",
        )

    def validate(self, *, vae_factor: int) -> None:
        """Check relations between sections; `vae_factor` = pixels a latent, read from the VAE."""
        step = vae_factor * 2 ** (len(self.unet.block_out_channels) - 1)
        for name, size in (("height", self.data.height), ("width", self.data.width)):
            require(
                size % step == 0,
                f"data.{name} is {size}; the VAE (factor {vae_factor}) and the U-Net's "
                f"{len(self.unet.block_out_channels)} levels need a multiple of {step}.",
            )
        most = self.data.visibility.max_references
        require(
            most is None or most < self.data.grid.num_views,
            f"data.visibility.max_references is {most}, but a grid of {self.data.grid.num_views} "
            "cells has room for at most one less: one cell is a target.",
        )


@dataclass(frozen=True, kw_only=True)
class TestConfig:
    """Everything a test of a trained stage is told; schedule and sizes come with the weights."""

    run: RunConfig
    data: TestDataConfig
    sample: SampleConfig
