"""`kill -9` before each single file operation of saving and pruning: there is no bad moment."""

import os
import random
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from toy import new_trainer, toy_batches, toy_config

from jcdm.training.checkpoint import find_checkpoint
from jcdm.training.checkpoint_folders import list_checkpoints
from jcdm.training.weights import read_tensors

OPERATIONS = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod")
CUT, LAST = 2, 4


def train(run: Path, num_steps: int, **options: int) -> None:
    """Train the toy up to a step, from where the run is."""
    config = toy_config(run, num_steps=num_steps, checkpoint_every=1, **options)
    trainer = new_trainer(config)
    if (newest := find_checkpoint(run, "auto")) is not None:
        trainer.resume(newest)
    done = trainer.state.progress.step * config.train.batch_size
    trainer.run(toy_batches(config.train.batch_size, done), run=run)


def newest(run: Path) -> dict[str, torch.Tensor]:
    folder = list_checkpoints(run)[-1][1]
    return {
        f"{file.name}:{name}": tensor
        for file in sorted(folder.rglob("*.safetensors"))
        for name, tensor in read_tensors(file).items()
    }


def save_next(run: Path, kill_before: int | None) -> int | None:
    """In a child, train one step more and keep that checkpoint alone; returns its operations.

    kill_before: the operation on files before which it is killed: then there is no count.
    """
    counter = run.with_name("count.txt")
    child = os.fork()
    if child == 0:
        _be_child(run, kill_before, counter)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code == (0 if kill_before is None else -signal.SIGKILL)
    return int(counter.read_text()) if kill_before is None else None


def _be_child(run: Path, kill_before: int | None, counter: Path) -> None:
    count = 0

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        if event not in OPERATIONS:
            return
        if event == "open" and not str(arguments[0]).startswith(str(run)):
            return
        if count == kill_before:
            os.kill(os.getpid(), signal.SIGKILL)
        count += 1

    try:
        sys.addaudithook(watch)
        train(run, CUT + 1, keep_checkpoints=1)
        counter.write_text(str(count))
        os._exit(0)
    finally:
        os._exit(70)


@pytest.mark.parametrize("count", [8, pytest.param(10_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("replaces", [False, True], ids=["new", "replaces a damaged one"])
def test_no_operation_is_a_bad_one_to_be_killed_before(
    tmp_path: Path, figure: Callable[[str], None], replaces: bool, count: int
) -> None:
    start, whole, run = (tmp_path / name for name in ("start", "whole", "run"))
    train(start, CUT + replaces, keep_checkpoints=3)
    if replaces:
        (list_checkpoints(start)[-1][1] / "state.json").write_text("damaged")
    shutil.copytree(start, whole)
    num_points = save_next(whole, None)
    assert num_points is not None and num_points > 40
    assert [step for step, _ in list_checkpoints(whole)] == [CUT + 1], "it prunes, too"
    train(whole, LAST)
    points = range(num_points)
    for point in random.Random(0).sample(points, min(count, num_points)):
        shutil.copytree(start, run)
        save_next(run, point)
        found = find_checkpoint(run, "auto")
        assert found is not None and found.name >= f"step_{CUT:07d}", f"lost at {point}"
        train(run, LAST)
        first, second = newest(run), newest(whole)
        assert first.keys() == second.keys()
        assert not [name for name in first if not torch.equal(first[name], second[name])]
        left = [path.name for path in (run / "checkpoints").iterdir()]
        assert not [name for name in left if name.startswith(".")]
        shutil.rmtree(run)
    done = min(count, num_points)
    figure(f"killed before {done} of {num_points} file operations of a save: nothing lost, 0 bits")
