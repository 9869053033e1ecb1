"""Operations of a step, counted without doing them, and the rate a device multiplies matrices at.

A multiplication with its addition counts as two operations. Counted are matrix products,
convolutions and attention, on the meta device: on a CPU torch's counter misses fused attention.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

import torch
from diffusers import AutoencoderKL
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from jcdm.bench.sizes import BenchSize
from jcdm.bench.timing import synchronise
from jcdm.training.footprint import meta_like
from jcdm.training.plan_objects import Sizes, planned_denoiser, prior_objects, stage2_objects
from jcdm.training.stages.build import prior_from_config

_MATRIX = {"cpu": 2048, "cuda": 8192}
NUM_VIEWS = 4


def count_flops(work: Callable[[], Any]) -> int:
    """Count the operations of matrix products, convolutions and attention in a piece of work."""
    with FlopCounterMode(display=False) as counter:
        work()
    return int(counter.get_total_flops())


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFlops:
    """Operations of the parts of a stage's step, for one person.

    vae_grid: encoding a whole grid; vae_view, clip: one view; prior: one evaluation for all views;
    trained: forward and backward pass of the stage's module; forward: its forward pass alone;
    vae_decode_grid, vae_decode_view: back to pictures.
    """

    vae_grid: float
    vae_view: float
    vae_decode_grid: float
    vae_decode_view: float
    clip: float
    prior: float
    forward: float
    trained: float


def step_flops(size: BenchSize, kind: str, *, published: bool = False) -> StepFlops:
    """Count the operations of a stage (prior, denoiser or motion) at a size."""
    sizes = size.encoder_sizes(kind)
    with torch.device("meta"):
        prior = prior_from_config(size.config("prior"), appearance_dim=sizes.width)
        _, run_prior = prior_objects(prior, size.config("prior"), sizes)
        run, people = run_prior, size.prior_batch_size
        if kind != "prior":
            run, people = _denoiser_pass(size, kind, published), size.batch_size
        return StepFlops(
            **_encoder_flops(size, kind, sizes),
            prior=count_flops(run_prior) / size.prior_batch_size,
            forward=count_flops(run) / people,
            trained=count_flops(lambda: run().sum().backward()) / people,
        )


def _denoiser_pass(size: BenchSize, kind: str, published: bool) -> Callable[[], Tensor]:
    """Make the forward pass of a denoiser whose parts are frozen as its stage has them."""
    config, sizes = size.config(kind, published=published), size.encoder_sizes(kind)
    denoiser = planned_denoiser(kind, config, sizes)
    return stage2_objects(denoiser, config, sizes)[1]


@torch.no_grad()
def _encoder_flops(size: BenchSize, kind: str, sizes: Sizes) -> dict[str, float]:
    """Count the VAE's and CLIP's operations for a grid and a view, by the names of `StepFlops`."""
    vae: Any = AutoencoderKL(**size.vae)
    options = size.prior_clip if kind == "prior" else size.clip
    clip = CLIPVisionModelWithProjection(CLIPVisionConfig(**options))
    square = meta_like(1, 3, sizes.clip_size, sizes.clip_size)
    found: dict[str, float] = {"clip": count_flops(lambda: clip(pixel_values=square))}
    for name, times in (("view", 1), ("grid", 2)):
        height, width = times * size.height, times * size.width
        picture = meta_like(1, 3, height, width)
        latent = meta_like(1, sizes.latent_channels, height // sizes.factor, width // sizes.factor)
        found[f"vae_{name}"] = count_flops(partial(vae.encode, picture))
        found[f"vae_decode_{name}"] = count_flops(partial(vae.decode, latent))
    return found


def published_flops(flops: StepFlops, kind: str) -> tuple[float, float]:
    """Operations of the frozen encoders and of a whole published step, for one person.

    Stage 1 embeds twelve pictures a person: four true views, four references with black ones, four
    black or white flags. Stage 2 encodes the true and the masked grid and embeds the four views.
    """
    if kind == "prior":
        encoders = 3 * NUM_VIEWS * flops.clip
    else:
        encoders = 2 * flops.vae_grid + NUM_VIEWS * flops.clip
    return encoders, encoders + flops.trained


def matmul_rate(device: torch.device, dtype: torch.dtype, *, num_repeats: int = 7) -> float:
    """Measure operations a second in a large product of square matrices; the median of repeats."""
    side = _MATRIX["cuda" if device.type == "cuda" else "cpu"]
    left, right = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    seconds = []
    for _ in range(num_repeats + 2):
        start = time.perf_counter()
        torch.mm(left, right)
        synchronise(device)
        seconds.append(time.perf_counter() - start)
    return 2 * side**3 / median(seconds[2:])
