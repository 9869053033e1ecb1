"""Runs cut between any two steps, again and again, end as if nothing had been."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runs_compared import require_equal, rows, tensors
from training_world import KINDS, tiny_config

from jcdm.config import Config
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
    require_equal(broken.run.out, straight.run.out)
    expected = rows(straight.run.out)
    assert rows(broken.run.out) == expected
    assert list_checkpoints(broken.run.out)
    num_tensors = len(tensors(straight.run.out))
    figure(f"{kind}: {count} cuts, {num_tensors} tensors and {len(expected)} rows bit-equal")


def with_workers(config: Config, num_workers: int) -> Config:
    return replace(config, data=replace(config.data, num_workers=num_workers))
