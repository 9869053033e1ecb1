"""Runs cut between any two steps, again and again, end as if nothing had been."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from training_world import KINDS, tiny_config

from jcdm.config import Config
from jcdm.logs import read_metrics
from jcdm.training.checkpoint import list_checkpoints
from jcdm.training.loop import Trainer
from jcdm.training.run import run_training

MOST_STEPS = 4
"""A sitting is cut in one of its first steps; a checkpoint comes every second one."""


class Cut(BaseException):
    """Nothing in the code catches it."""


@pytest.fixture
def cutting(monkeypatch: pytest.MonkeyPatch) -> Callable[[int | None], None]:
    """Give a function that lets the next run be cut as its n-th step begins; None = never."""
    plain = Trainer._update

    def cut_at(number: int | None) -> None:
        counted = itertools.count(1)

        def update(self: Trainer, *args: Any) -> Any:
            if next(counted) == number:
                raise Cut
            return plain(self, *args)

        monkeypatch.setattr(Trainer, "_update", update)

    return cut_at


def random_sittings(count: int, seed: int) -> Iterator[tuple[int, int]]:
    """Draw for every sitting the step it is cut in, and how many processes read its batches."""
    stream = np.random.default_rng(seed)
    for _ in range(count):
        yield int(stream.integers(1, MOST_STEPS + 1)), int(stream.integers(0, 2))


def everything(run: Path) -> dict[str, torch.Tensor]:
    """All tensors of a run: weights, averages and moments of its checkpoints, and `final`."""
    return {
        f"{file.relative_to(run)}:{name}": tensor
        for file in sorted(run.rglob("*.safetensors"))
        for name, tensor in load_file(file).items()
    }


def rows(config: Config) -> list[dict[str, float]]:
    found = read_metrics(config.run.out / "metrics.jsonl")
    return [{name: value for name, value in row.items() if name != "seconds"} for row in found]


@pytest.mark.parametrize("count", [2, pytest.param(20, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", KINDS)
def test_a_run_cut_often_is_bit_equal_to_an_uncut_one(
    world: Path,
    tmp_path: Path,
    cutting: Callable[[int | None], None],
    figure: Callable[[str], None],
    kind: str,
    count: int,
) -> None:
    steps = {"num_steps": 2 * count + 2, "accumulation": 2, "batch_size": 2}
    straight = tiny_config(world, tmp_path / "straight", kind, **steps)
    run_training(kind, straight)
    broken = tiny_config(world, tmp_path / "broken", kind, **steps)
    for cut_at, num_workers in random_sittings(count, seed=KINDS.index(kind)):
        cutting(cut_at)
        with pytest.raises(Cut):
            run_training(kind, with_workers(broken, num_workers))
    cutting(None)
    run_training(kind, broken)
    expected, found = everything(straight.run.out), everything(broken.run.out)
    assert expected.keys() == found.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
    assert rows(broken) == rows(straight)
    assert list_checkpoints(broken.run.out)
    figure(
        f"{kind}: {count} cuts, {len(expected)} tensors and {len(rows(straight))} rows bit-equal"
    )


def with_workers(config: Config, num_workers: int) -> Config:
    return replace(config, data=replace(config.data, num_workers=num_workers))
