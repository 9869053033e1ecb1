import json
import logging
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from toy import ToyStage, new_trainer, toy_batches, toy_config

from jcdm.errors import CheckpointError, ConfigError
from jcdm.folders import verify_folder, write_folder
from jcdm.logs import MetricsLog, read_metrics
from jcdm.training.checkpoint import find_checkpoint, list_checkpoints, load_checkpoint
from jcdm.training.loop import Trainer
from jcdm.training.weights import write_tensors


def run_toy(
    out: Path, num_steps: int, *, resume: Path | None = None, log: bool = False, **train: int
) -> Trainer:
    """Train the toy up to `num_steps` of a run of 4, from the start or from a checkpoint."""
    config = toy_config(out, **train)
    trainer = new_trainer(config)
    if resume is not None:
        trainer.resume(resume)
    done = trainer.state.progress.step
    trainer.config = replace(config, train=replace(config.train, num_steps=num_steps))
    out.mkdir(exist_ok=True, parents=True)
    metrics = MetricsLog(out / "metrics.jsonl", start_step=done) if log else None
    samples = config.train.batch_size * config.train.accumulation
    trainer.run(toy_batches(config.train.batch_size, done * samples), run=out, log=metrics)
    return trainer


def contents(folder: Path) -> dict[str, torch.Tensor]:
    return {
        f"{file.name}:{name}": tensor
        for file in sorted(folder.rglob("*.safetensors"))
        for name, tensor in load_file(file).items()
    }


@pytest.mark.parametrize("train", [{}, {"accumulation": 3}, {"log_every": 3}])
def test_a_resumed_run_is_bit_equal(tmp_path: Path, train: dict[str, int]) -> None:
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    run_toy(straight, 4, log=True, **train)
    run_toy(broken, 4, log=True, **train)  # rows of steps 3 and 4 must be dropped at the resume
    for folder in [folder for step, folder in list_checkpoints(broken) if step > 2]:
        for file in sorted(folder.rglob("*"), reverse=True):
            file.rmdir() if file.is_dir() else file.unlink()
        folder.rmdir()
    run_toy(broken, 4, resume=find_checkpoint(broken, "auto"), log=True, **train)
    first, second = (list_checkpoints(run)[-1][1] for run in (straight, broken))
    expected, found = contents(first), contents(second)
    assert found.keys() == expected.keys()
    assert not [name for name in found if not torch.equal(found[name], expected[name])]
    rows = [read_metrics(run / "metrics.jsonl") for run in (straight, broken)]
    for row in (row for some in rows for row in some):
        del row["seconds"]
    assert rows[0] == rows[1]


def test_a_checkpoint_holds_safetensors_and_json_only(tmp_path: Path) -> None:
    run_toy(tmp_path, 2)
    folder = tmp_path / "checkpoints" / "step_0000002"
    files = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    assert files == [
        "config.yaml",
        "ema.safetensors",
        "manifest.json",
        "optimizer.safetensors",
        "prior/config.json",
        "prior/diffusion_pytorch_model.safetensors",
        "state.json",
    ]
    assert set(load_file(folder / "ema.safetensors")) == {"weight", "bias"}
    assert "weight/exp_avg_sq" in load_file(folder / "optimizer.safetensors")


def test_old_checkpoints_are_removed(tmp_path: Path) -> None:
    run_toy(tmp_path, 4, checkpoint_every=1, keep_checkpoints=2)
    assert [step for step, _ in list_checkpoints(tmp_path)] == [3, 4]


def test_find_checkpoint_auto(tmp_path: Path) -> None:
    assert find_checkpoint(tmp_path, "auto") is None
    run_toy(tmp_path, 4)
    assert find_checkpoint(tmp_path, "auto") == tmp_path / "checkpoints" / "step_0000004"


@pytest.mark.parametrize("damage", ["cut", "flip", "remove", "manifest"])
def test_a_damaged_checkpoint_is_passed_over_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    run_toy(tmp_path, 4)
    newest = tmp_path / "checkpoints" / "step_0000004"
    victim = newest / ("manifest.json" if damage == "manifest" else "ema.safetensors")
    content = bytearray(victim.read_bytes())
    if damage in ("remove", "manifest"):
        victim.unlink()
    elif damage == "cut":
        victim.write_bytes(content[:-1])
    else:
        content[-1] ^= 1
        victim.write_bytes(content)
    with caplog.at_level(logging.WARNING, logger="jcdm"):
        assert find_checkpoint(tmp_path, "auto") == tmp_path / "checkpoints" / "step_0000002"
    assert str(newest) in caplog.text and victim.name in caplog.text
    with pytest.raises(CheckpointError, match=r"step_0000004"):
        find_checkpoint(tmp_path, str(newest))


def test_a_run_whose_checkpoints_are_all_damaged_does_not_start_anew(tmp_path: Path) -> None:
    run_toy(tmp_path, 2)
    (tmp_path / "checkpoints" / "step_0000002" / "state.json").unlink()
    with pytest.raises(CheckpointError, match="none of the 1 checkpoints"):
        find_checkpoint(tmp_path, "auto")


def test_find_checkpoint_refuses_to_mix_runs(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    run_toy(first, 4)
    run_toy(second, 2)
    with pytest.raises(ConfigError, match=r"train.resume=never, but .* holds 2 checkpoints"):
        find_checkpoint(first, "never")
    chosen = second / "checkpoints" / "step_0000002"
    assert find_checkpoint(tmp_path / "new", str(chosen)) == chosen
    assert find_checkpoint(second, str(chosen)) == chosen
    with pytest.raises(ConfigError, match="other checkpoints up to step 4"):
        find_checkpoint(first, str(chosen))
    with pytest.raises(CheckpointError, match="is no folder; expected auto, never or"):
        find_checkpoint(first, "atuo")


def test_a_damaged_checkpoint_is_replaced_when_its_step_comes_again(tmp_path: Path) -> None:
    run_toy(tmp_path, 4)
    (tmp_path / "checkpoints" / "step_0000004" / "state.json").unlink()
    run_toy(tmp_path, 4, resume=find_checkpoint(tmp_path, "auto"))
    verify_folder(tmp_path / "checkpoints" / "step_0000004")


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    run_toy(tmp_path, 2)
    other = new_trainer(toy_config(tmp_path), ToyStage(width=5))
    folder = tmp_path / "checkpoints" / "step_0000002"
    with pytest.raises(CheckpointError, match=r"weight has shape \(3,\), expected \(5,\)"):
        load_checkpoint(folder, other.state)


def test_a_checkpoint_of_another_stage_is_refused(tmp_path: Path) -> None:
    run_toy(tmp_path, 2)
    stage = ToyStage()
    stage.part = "denoiser"
    with pytest.raises(CheckpointError, match="checkpoint of the prior, expected one of the deno"):
        load_checkpoint(
            tmp_path / "checkpoints" / "step_0000002",
            new_trainer(toy_config(tmp_path), stage).state,
        )


def test_all_files_of_a_folder_can_be_read_by_whom_the_umask_allows(tmp_path: Path) -> None:
    def fill(folder: Path) -> None:
        (folder / "part").mkdir()
        for place in (folder, folder / "part"):
            write_tensors(place / "weights.safetensors", {"a": torch.zeros(2)})
            (place / "weights.safetensors").chmod(0o600)

    before = os.umask(0o027)
    try:
        write_folder(tmp_path / "final", fill)
    finally:
        os.umask(before)
    files = [path for path in (tmp_path / "final").rglob("*") if path.is_file()]
    assert len(files) == 3
    assert {oct(path.stat().st_mode & 0o777) for path in files} == {"0o640"}


def test_an_interrupted_write_leaves_the_older_folder_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "step_0000002"
    write_folder(target, lambda folder: (folder / "a.txt").write_text("old") and None)

    def fail(folder: Path) -> None:
        (folder / "a.txt").write_text("new")
        raise OSError(28, "No space left on device")

    with pytest.raises(CheckpointError, match="No space left on device"):
        write_folder(target, fail)
    assert os.listdir(tmp_path) == ["step_0000002"]
    assert (target / "a.txt").read_text() == "old"
    verify_folder(target)


def test_leftovers_of_a_killed_process_are_removed_and_never_taken_for_checkpoints(
    tmp_path: Path,
) -> None:
    leftover = tmp_path / "checkpoints" / ".step_0000009.partial-123"
    leftover.mkdir(parents=True)
    assert find_checkpoint(tmp_path, "auto") is None
    assert not leftover.exists(), "where a run has no step left, nothing is saved that cleans up"
    leftover.mkdir()
    run_toy(tmp_path, 2)
    assert not leftover.exists()


def test_a_manifest_of_another_version_is_refused(tmp_path: Path) -> None:
    run_toy(tmp_path, 2)
    manifest = tmp_path / "checkpoints" / "step_0000002" / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"version": 99}))
    with pytest.raises(CheckpointError, match="version 1"):
        verify_folder(manifest.parent)
