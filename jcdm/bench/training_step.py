"""One training step from a batch to the moved weights: as published, as here, and from a cache."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Literal

import torch
from einops import rearrange
from torch import Tensor

from jcdm.bench.flops import NUM_VIEWS, matmul_rate, published_flops, step_flops
from jcdm.bench.memory import device_peak_memory
from jcdm.bench.models import build_stage, cached_batch, random_batch
from jcdm.bench.results import Fact, Goal, Row
from jcdm.bench.setting import Bench
from jcdm.bench.timing import Comparison, compare_all
from jcdm.records import Batch
from jcdm.training.ema import ParameterAverages
from jcdm.training.optim import build_optimizer, skip_unless
from jcdm.training.stages.base import Stage
from jcdm.training.stages.build import frozen_dtype
from jcdm.training.stages.denoiser import DenoiserStage

GOALS = {"prior": 10.0, "denoiser": 3.0}
"""How many times as fast a step from a cache ought to be as the published one, size mid, CPU."""


class Learner:
    """Moves the weights of a stage as the training loop does, without a loop."""

    def __init__(self, stage: Stage, device: torch.device) -> None:
        config = stage.config  # type: ignore[attr-defined]
        self.stage = stage
        self.device = device
        self.dtype = frozen_dtype(config)
        self.max_grad_norm: float = config.optim.max_grad_norm
        self.parameters = stage.trainable_parameters()
        self.optimizer = build_optimizer(self.parameters, config.optim)
        self.averages = ParameterAverages(self.parameters, config.train.ema_decay)
        stage.module.train()

    def precision(self) -> AbstractContextManager[object]:
        """Compute in the run's precision while open."""
        if self.dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, self.dtype)

    def step(self, batch: Batch) -> None:
        """Take one optimizer step."""
        with self.precision():
            loss = self.stage.step(batch).loss
        loss.backward()
        self.move()

    def move(self) -> None:
        """Clip the gradients, move weights and averages unless a gradient is not finite."""
        parameters = list(self.parameters.values())
        norm = torch.nn.utils.clip_grad_norm_(parameters, self.max_grad_norm)
        taken = norm.isfinite()
        skip_unless(self.optimizer, taken)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.averages.update(taken)


def bench_training(kind: str, bench: Bench) -> Iterator[Row]:
    """Compare a step from a cache with the published step, and say what both cost.

    Stage 2 is compared three times: told what was kept of the frozen prior's predictions; asking it
    at every step; and told the true embeddings, as the published recipe is.
    """
    batch = random_batch(bench.size, kind)
    works = {f"{kind}: step from a cache": cached_step(kind, bench, "apm")}
    if kind != "prior":
        works[f"{kind}: step from a cache, the prior asked"] = cached_step(
            kind, bench, "apm", predictions=False
        )
        works[f"{kind}: step from a cache, true embeddings"] = cached_step(kind, bench, "oracle")
    found, *others = compare_all(
        (f"{kind}: published step, no cache", published_step(kind, bench, batch)),
        works,
        "people",
        num_repeats=bench.num_repeats,
        num_warmup=1,
        device=bench.device,
    )
    yield found
    if kind in GOALS:
        yield Goal(name=f"{kind}: cached over published", value=found.ratio, bound=GOALS[kind])
    yield from others
    yield from _costs(kind, bench, found)


def cached_step(
    kind: str, bench: Bench, source: Literal["apm", "oracle"], *, predictions: bool = True
) -> Callable[[], int]:
    """Our step with what a cache knows of a batch; gives its people.

    predictions: those of the frozen prior are known too, where the stage asks for them.
    """
    stage = build_stage(
        bench.size, kind, bench.device, source=source, mixed_precision=bench.mixed_precision
    )
    learner = Learner(stage, bench.device)
    known = cached_batch(stage, random_batch(bench.size, kind))
    if predictions and isinstance(stage, DenoiserStage) and stage.frozen_prior is not None:
        known = replace(known, predicted=stage.frozen_prior.predict_batch(known).embeddings.cpu())

    def step() -> int:
        learner.step(known)
        return len(known.keys)

    return step


def published_step(kind: str, bench: Bench, batch: Batch) -> Callable[[], int]:
    """The step of the published recipe, every encoder run at every step; gives its people."""
    stage = build_stage(
        bench.size, kind, bench.device, published=True, mixed_precision=bench.mixed_precision
    )
    learner, people = Learner(stage, bench.device), len(batch.keys)
    known: Batch = batch
    pictures: tuple[Tensor, ...] = ()
    if kind == "prior":  # stage 2 encodes by itself, both grids and four views, as published
        known = cached_batch(stage, batch)
        pictures = published_pictures(batch).split(NUM_VIEWS * people)

    def step() -> int:
        for some in pictures:
            stage.clip.embed(some)
        learner.step(known)
        return people

    return step


def published_pictures(batch: Batch) -> Tensor:
    """Pictures that the published stage 1 embeds at each step: (12 B, 3, S, S).

    Four true views of a person, four with the targets black, four that are white or black to say
    which are given.
    """
    given = batch.visible[:, :, None, None, None].to(batch.clip_pixels)
    flags = given.expand_as(batch.clip_pixels)
    groups = (batch.clip_pixels, batch.clip_pixels * given, flags)
    return torch.cat([rearrange(group, "b v c h w -> (b v) c h w") for group in groups])


def _costs(kind: str, bench: Bench, found: Comparison) -> Iterator[Row]:
    """Operations of both steps, the rate reached, and the most memory held."""
    _, whole = published_flops(step_flops(bench.size, kind, published=True), kind)
    flops = step_flops(bench.size, kind)
    dtype = frozen_dtype(bench.size.config(kind, mixed_precision=bench.mixed_precision))
    top = matmul_rate(bench.device, dtype)
    yield Fact(name="matrix products of this device", value=top / 1e9, unit="GFLOP/s")
    for name, a_person, timing in (
        ("cached", flops.trained, found.ours),
        ("published", whole, found.theirs),
    ):
        rate = a_person * timing.per_second
        yield Fact(name=f"{kind}: {name}, operations a person", value=a_person / 1e9, unit="GFLOP")
        yield Fact(name=f"{kind}: {name}, rate reached", value=rate / 1e9, unit="GFLOP/s")
        yield Fact(name=f"{kind}: {name}, of the matrix rate", value=rate / top, unit="")
    if kind == "prior":
        yield Fact(
            name="prior: operations over published, four CLIP passes, no cache",
            value=whole / (flops.trained + NUM_VIEWS * flops.clip),
            unit="times fewer",
        )
    yield Fact(name="peak memory", value=device_peak_memory(bench.device), unit="MB")
