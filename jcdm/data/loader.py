"""Serve batches for ever: seeded, sharded over processes, and startable at any step.

Which samples a step reads is arithmetic on the step's number, so nothing is read to skip ahead,
and the samples of a step are the same on 1, 2 or 4 processes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Self

import numpy as np
import torch
from torch import Tensor

from jcdm.data.dataset import MultiViewDataset
from jcdm.data.workers import read_batches
from jcdm.errors import ConfigError, DataError
from jcdm.records import Batch, Sample
from jcdm.seeding import generator

_SMALL = 2**16  # bytes


def collate(samples: Sequence[Sample]) -> Batch:
    """Stack samples to a Batch. Errors: DataError when there is none, or their shapes differ."""
    if not samples:
        raise DataError("a batch of no samples was asked for, expected at least one.")
    names = [f.name for f in fields(Sample) if isinstance(getattr(samples[0], f.name), Tensor)]
    for name in names:
        shapes = {tuple(getattr(sample, name).shape) for sample in samples}
        if len(shapes) > 1:
            raise DataError(
                f"samples of one batch have {name} of shapes {sorted(shapes)}, expected one shape. "
                "Make them with one data set."
            )
    return Batch(
        **{name: torch.stack([getattr(sample, name) for sample in samples]) for name in names},
        subjects=tuple(sample.subject for sample in samples),
        keys=torch.tensor([sample.key for sample in samples], dtype=torch.int64),
        arrangements=_arrangements(samples),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedBatch:
    """A Batch on its way from a worker: every tensor costs a file handle, so small ones are bytes.

    Eleven handles take 4 ms, as long as a worker needs for the samples behind them.
    """

    large: Mapping[str, Tensor]
    small: Mapping[str, np.ndarray]
    subjects: tuple[str, ...]

    @classmethod
    def pack(cls, batch: Batch) -> Self:
        """Divide the tensors of a batch by size."""
        found = {f.name: getattr(batch, f.name) for f in fields(Batch)}
        tensors = {name: value for name, value in found.items() if isinstance(value, Tensor)}
        small = {name: t.numpy() for name, t in tensors.items() if t.nbytes <= _SMALL}
        large = {name: t for name, t in tensors.items() if t.nbytes > _SMALL}
        return cls(large=large, small=small, subjects=batch.subjects)

    def unpack(self) -> Batch:
        """Make the batch again."""
        small = {name: torch.from_numpy(array) for name, array in self.small.items()}
        return Batch(**self.large, **small, subjects=self.subjects)

    def pin_memory(self) -> Self:
        """Pin the large tensors, so that copies to a GPU overlap with work."""
        return replace(self, large={name: t.pin_memory() for name, t in self.large.items()})


def _collate_for_transport(samples: Sequence[Sample]) -> PackedBatch:
    return PackedBatch.pack(collate(samples))


def _arrangements(samples: Sequence[Sample]) -> Tensor | None:
    """Collect the arrangements' keys; None where they are the samples' own."""
    if all(sample.arrangement == sample.key for sample in samples):
        return None
    return torch.tensor([sample.arrangement for sample in samples], dtype=torch.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPlan:
    """Which samples stand in which micro-batch of which process.

    The order of an epoch is a permutation drawn from (seed, epoch); the epochs follow each other in
    one endless row, and step s reads the s-th piece of batch_size * accumulation * world_size
    samples of it. Rank r has the r-th part of the piece, its micro-batches in turn; so the parts of
    all ranks one after another are the same row of samples for any number of processes.
    """

    num_samples: int
    batch_size: int
    seed: int
    rank: int = 0
    world_size: int = 1
    accumulation: int = 1

    def __post_init__(self) -> None:
        counts = (self.num_samples, self.batch_size, self.world_size, self.accumulation)
        if min(counts) < 1 or not 0 <= self.rank < self.world_size:
            raise ConfigError(
                f"found {self.num_samples} samples, batch size {self.batch_size}, accumulation "
                f"{self.accumulation}, rank {self.rank} of {self.world_size}; expected at least "
                "one of each and a rank below the number of processes. Check train and data."
            )

    def places(self, step: int, micro_batch: int) -> list[tuple[int, int]]:
        """Return the (epoch, index) of each sample of a micro-batch of this rank in a step."""
        part = self.batch_size * self.accumulation
        first = (step * self.world_size + self.rank) * part + micro_batch * self.batch_size
        return [self._place(position) for position in range(first, first + self.batch_size)]

    def endless(self, start_step: int) -> Iterator[list[tuple[int, int]]]:
        """Yield the micro-batches of this rank in order, from an optimizer step on."""
        step = start_step
        while True:
            for micro_batch in range(self.accumulation):
                yield self.places(step, micro_batch)
            step += 1

    def _place(self, position: int) -> tuple[int, int]:
        epoch, offset = divmod(position, self.num_samples)
        return epoch, int(_epoch_order(self.seed, epoch, self.num_samples)[offset])


@dataclass(frozen=True, slots=True)
class _PlanSampler:
    """The plan as the batch sampler that torch's DataLoader asks for."""

    plan: BatchPlan
    start_step: int

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        return self.plan.endless(self.start_step)


def build_loader(
    dataset: MultiViewDataset,
    *,
    batch_size: int,
    seed: int,
    start_step: int = 0,
    rank: int = 0,
    world_size: int = 1,
    accumulation: int = 1,
    num_workers: int = 0,
) -> Iterator[Batch]:
    """Yield micro-batches for ever, `accumulation` of them an optimizer step.

    batch_size: samples a process and micro-batch. start_step: optimizer steps already done. The
    batches do not depend on `num_workers`. Do not give the loader to `accelerator.prepare`.
    """
    plan = BatchPlan(
        num_samples=len(dataset),
        batch_size=batch_size,
        seed=seed,
        rank=rank,
        world_size=world_size,
        accumulation=accumulation,
    )
    batches = read_batches(
        dataset,
        _PlanSampler(plan, start_step),
        _collate_for_transport if num_workers else collate,
        num_workers=num_workers,
        pin_memory=torch.cuda.is_available(),
    )
    return map(PackedBatch.unpack, batches) if num_workers else batches


@lru_cache(maxsize=4)
def _epoch_order(seed: int, epoch: int, num_samples: int) -> np.ndarray:
    return generator(seed, f"order of epoch {epoch}").permutation(num_samples)
