"""What runs at full size would cost: computed from counted operations, never measured."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch

from jcdm.bench.flops import StepFlops, published_flops, step_flops
from jcdm.bench.sizes import FULL, BenchSize
from jcdm.config import Config
from jcdm.training.footprint import parameter_bytes
from jcdm.training.plan import meta_parts
from jcdm.training.step_memory import count_step

VIEWS = ((256, 192), (512, 384), (768, 768))
ASSUMED_PEAK, ASSUMED_SHARE = 990e12, 0.40
ASSUMED_SCALING: Mapping[int, float] = {1: 1.0, 8: 0.95, 64: 0.9}
NUM_PHOTOGRAPHS = 52_712
CACHE_BYTES = 2
GB, HOUR = 1e9, 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCost:
    """Cost of one run. flops, published: operations a person, from a cache and as published.

    people: that the run sees, views of all of them a step apart; hours: by number of GPUs.
    """

    kind: str
    view: tuple[int, int]
    people: int
    flops: float
    published: float

    def gpu_hours(self, *, published: bool = False) -> float:
        """Hours of one GPU at the assumed rate."""
        a_person = self.published if published else self.flops
        return a_person * self.people / (ASSUMED_PEAK * ASSUMED_SHARE) / HOUR

    def hours(self, num_gpus: int) -> float:
        """Hours of the run on several GPUs, with the assumed loss by working together."""
        return self.gpu_hours() / num_gpus / ASSUMED_SCALING[num_gpus]


def full_size(view: tuple[int, int]) -> BenchSize:
    """The full size with other views; one person a batch, whose counts are a person's."""
    return replace(FULL, height=view[0], width=view[1], batch_size=1, prior_batch_size=1)


def run_cost(kind: str, view: tuple[int, int], people: int, training_steps: int) -> RunCost:
    """Count what a run that sees `people` costs, the prior sampled in `training_steps` steps."""
    size = full_size(view)
    flops = step_flops(size, kind)
    sampling = 0.0 if kind == "prior" else training_steps * flops.prior
    published: StepFlops = step_flops(size, kind, published=True)
    return RunCost(
        kind=kind,
        view=view,
        people=people,
        flops=flops.trained + sampling,
        published=published_flops(published, kind)[1],
    )


def cache_bytes(view: tuple[int, int]) -> float:
    """Bytes of the encoder cache of all photographs and their mirror images, in half precision."""
    sizes = FULL.encoder_sizes("denoiser")
    latent = sizes.latent_channels * (view[0] // sizes.factor) * (view[1] // sizes.factor)
    return NUM_PHOTOGRAPHS * 2 * (2 * latent + sizes.width) * CACHE_BYTES


def checkpoint_bytes(kind: str) -> float:
    """Bytes of one checkpoint: weights of the module, averages and two moments of what trains."""
    with torch.device("meta"):
        parts = meta_parts(kind, FULL.config(kind))
    learned = parameter_bytes(parts.module, only_trainable=True)
    return parameter_bytes(parts.module) + 3 * learned


def training_peak(
    kind: str,
    view: tuple[int, int],
    *,
    grid: tuple[int, int] = (2, 2),
    batch_size: int,
    checkpointing: bool,
) -> int:
    """Predict the most bytes of one GPU in a step from a cache, bf16, on tensors without content.

    As `training.step_memory` counts: without the process itself and a GPU's workspaces.
    """
    config = replace(FULL, height=view[0], width=view[1]).config(kind, mixed_precision="bf16")
    config = _changed(config, grid, batch_size, checkpointing)
    with torch.device("meta"):
        parts = meta_parts(kind, config)
    return count_step(kind, config, parts).peak


def _changed(config: Config, grid: tuple[int, int], batch_size: int, checkpointing: bool) -> Config:
    return replace(
        config,
        data=replace(config.data, grid_rows=grid[0], grid_cols=grid[1]),
        encoders=replace(config.encoders, cache=config.encoders.vae),
        train=replace(config.train, batch_size=batch_size, activation_checkpointing=checkpointing),
    )
