"""Which checkpoints stay: the last ones, the best ones, and never at the cost of a whole one."""

import json
import shutil
from pathlib import Path

import pytest
from test_checkpoint import run_toy
from toy import new_trainer, toy_batches, toy_config
from training_world import tiny_config

from jcdm.config import TrainConfig
from jcdm.errors import ConfigError
from jcdm.folders import verify_folder
from jcdm.logs import read_metrics
from jcdm.training.checkpoint import find_checkpoint
from jcdm.training.checkpoint_folders import SavedCheckpoint, list_checkpoints, look_into
from jcdm.training.loop import Watch
from jcdm.training.retention import best_checkpoints, surplus_checkpoints
from jcdm.training.run import run_training

LOSSES = {1: 3.0, 2: 1.0, 3: 2.0, 4: 1.0, 5: float("nan"), 6: 4.0}


def saved(step: int, loss: float | None = None, damage: str | None = None) -> SavedCheckpoint:
    return SavedCheckpoint(
        step=step,
        folder=Path(f"step_{step:07d}"),
        num_bytes=0,
        damage=damage,
        saved=None,
        validation_loss=loss,
    )


def steps(found: list[SavedCheckpoint]) -> list[int]:
    return [checkpoint.step for checkpoint in found]


def test_the_best_have_the_lowest_loss_of_their_own_and_are_whole() -> None:
    found = [saved(1, 3.0), saved(2, 1.0), saved(3), saved(4, 1.0), saved(5, 0.5, "damaged")]
    assert steps(best_checkpoints(found, 9)) == [4, 2, 1]


@pytest.mark.parametrize(
    ("keep_last", "keep_best", "expected"),
    [(1, 0, [1, 2, 3]), (1, 1, [1, 3]), (2, 1, [1]), (1, 2, [3]), (9, 0, [])],
)
def test_surplus_is_neither_recent_nor_best(
    keep_last: int, keep_best: int, expected: list[int]
) -> None:
    found = [saved(1, 2.0), saved(2, 1.0), saved(3, 3.0), saved(4), saved(5, 9.0, "damaged")]
    assert steps(surplus_checkpoints(found, keep_last=keep_last, keep_best=keep_best)) == expected


def train(out: Path, num_steps: int, *, resume: bool = False, **options: int) -> None:
    """Train the toy, whose validation losses are those of LOSSES."""
    config = toy_config(out, num_steps=num_steps, checkpoint_every=1, **options)
    trainer = new_trainer(config)
    if resume:
        trainer.resume(find_checkpoint(out, "auto"))  # type: ignore[arg-type]
    watch = Watch(every=1, look=lambda step: {"validation_loss": LOSSES[step]})
    done = trainer.state.progress.step * config.train.batch_size
    trainer.run(toy_batches(config.train.batch_size, done), run=out, watches=[watch])


def test_a_run_keeps_the_best_and_the_last(tmp_path: Path) -> None:
    train(tmp_path, 6, keep_checkpoints=1)
    assert [step for step, _ in list_checkpoints(tmp_path)] == [4, 6]


@pytest.mark.parametrize("cut", [1, 2, 3, 4, 5])
def test_a_resumed_run_keeps_the_same_ones(tmp_path: Path, cut: int) -> None:
    train(tmp_path, cut, keep_checkpoints=1)
    train(tmp_path, 6, resume=True, keep_checkpoints=1)
    kept = list_checkpoints(tmp_path)
    assert [(s, look_into(s, f).validation_loss) for s, f in kept] == [(4, 1.0), (6, 4.0)]


def test_a_damaged_newer_checkpoint_takes_no_place_of_a_whole_one(tmp_path: Path) -> None:
    run_toy(tmp_path, 4, checkpoint_every=1, keep_checkpoints=4)
    shutil.rmtree(tmp_path / "checkpoints" / "step_0000003")
    file = tmp_path / "checkpoints" / "step_0000004" / "ema.safetensors"
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))  # what sizes alone do not show
    assert find_checkpoint(tmp_path, "auto") == tmp_path / "checkpoints" / "step_0000002"
    run_toy(
        tmp_path,
        3,
        resume=tmp_path / "checkpoints" / "step_0000002",
        checkpoint_every=1,
        keep_checkpoints=1,
    )
    assert [step for step, _ in list_checkpoints(tmp_path)] == [3, 4]
    assert find_checkpoint(tmp_path, "auto") == tmp_path / "checkpoints" / "step_0000003"


def test_a_damaged_older_checkpoint_is_neither_counted_nor_removed(tmp_path: Path) -> None:
    run_toy(tmp_path, 3, checkpoint_every=1, keep_checkpoints=3)
    (tmp_path / "checkpoints" / "step_0000002" / "state.json").unlink()
    newest = find_checkpoint(tmp_path, "auto")
    run_toy(tmp_path, 4, resume=newest, checkpoint_every=1, keep_checkpoints=2)
    assert [step for step, _ in list_checkpoints(tmp_path)] == [2, 3, 4]


def test_the_loss_is_measured_at_every_checkpoint_where_the_best_are_to_stay(
    world: Path, tmp_path: Path
) -> None:
    options = {"validate_every": 3, "checkpoint_every": 2, "num_steps": 4}
    for keep_best, measured in ((1, [0, 2, 3, 4]), (0, [0, 3, 4])):
        out = tmp_path / str(keep_best)
        run_training("prior", tiny_config(world, out, **options, keep_best=keep_best))
        rows = {row["step"]: row for row in read_metrics(out / "metrics.jsonl")}
        assert [step for step, row in rows.items() if "validation_loss" in row] == measured
        for step, folder in list_checkpoints(out):
            verify_folder(folder)
            progress = json.loads((folder / "state.json").read_text())["progress"]
            assert progress["validation_loss"] == rows[step].get("validation_loss")


def test_a_run_that_was_killed_before_it_removed_the_old_ones_removes_them(
    world: Path, tmp_path: Path
) -> None:
    options = {"num_steps": 2, "checkpoint_every": 1, "validate_every": 0}
    run_training("prior", tiny_config(world, tmp_path, **options, keep_checkpoints=2))
    assert [step for step, _ in list_checkpoints(tmp_path)] == [1, 2]
    run_training("prior", tiny_config(world, tmp_path, **options, keep_checkpoints=1))
    assert [step for step, _ in list_checkpoints(tmp_path)] == [2], "no step was left to save after"


def test_at_least_one_stays() -> None:
    for wrong in ({"keep_checkpoints": 0}, {"keep_best": -1}):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            TrainConfig(num_steps=1, batch_size=1, **wrong)
