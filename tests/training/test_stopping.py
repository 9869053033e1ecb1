"""A run that is told to end: the step is finished, all is saved, and the same command goes on."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from toy import ToyStage, new_trainer, toy_batches, toy_config
from training_world import tiny_config

from jcdm.cli.main import main
from jcdm.records import Batch, StepOutput
from jcdm.training.checkpoint import find_checkpoint
from jcdm.training.run import run_training
from jcdm.training.stopping import StopSignals


class SignalledStage(ToyStage):
    """Sends its own process a signal in the middle of a step."""

    def __init__(self, step: int, number: int = signal.SIGTERM) -> None:
        super().__init__()
        self.steps_left, self.number = step, number

    def step(self, batch: Batch) -> StepOutput:
        self.steps_left -= 1
        if self.steps_left == 0:
            os.kill(os.getpid(), self.number)
        return super().step(batch)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_finishes_the_step_and_saves(
    tmp_path: Path, number: signal.Signals, capfd: pytest.CaptureFixture[str]
) -> None:
    handlers = [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)]
    config = toy_config(tmp_path, num_steps=9, checkpoint_every=9)
    trainer = new_trainer(config, SignalledStage(3, number))
    assert trainer.run(toy_batches(2), run=tmp_path) == number.name
    assert trainer.state.progress.step == 3
    assert f"jcdm: {number.name}: finishing the step, then saving" in capfd.readouterr().err
    assert [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)] == handlers
    saved = find_checkpoint(tmp_path, "auto")
    assert saved is not None and saved.name == "step_0000003"


def test_a_run_that_was_signalled_goes_on_bit_equal(tmp_path: Path) -> None:
    config = toy_config(tmp_path / "cut", num_steps=6, checkpoint_every=6)
    trainer = new_trainer(config, SignalledStage(2))
    trainer.run(toy_batches(2), run=tmp_path / "cut")
    again = new_trainer(config)
    again.resume(find_checkpoint(tmp_path / "cut", "auto"))  # type: ignore[arg-type]
    assert again.run(toy_batches(2, start=4), run=tmp_path / "cut") is None
    straight = new_trainer(config)
    straight.run(toy_batches(2), run=tmp_path / "straight")
    for name, parameter in straight.state.parameters.items():
        assert torch.equal(again.state.parameters[name], parameter), name


def test_a_signal_in_the_last_step_lets_the_run_be_done(tmp_path: Path) -> None:
    trainer = new_trainer(toy_config(tmp_path, num_steps=3), SignalledStage(3))
    assert trainer.run(toy_batches(2), run=tmp_path) is None


def test_minutes_end_a_run(tmp_path: Path) -> None:
    def slow() -> Iterator[Batch]:
        for batch in toy_batches(2):
            time.sleep(0.05)
            yield batch

    config = toy_config(tmp_path, num_steps=1000, checkpoint_every=1000, max_minutes=0.005)
    trainer = new_trainer(config)
    assert trainer.run(slow(), run=tmp_path) == "train.max_minutes=0.005 are over"
    assert 0 < trainer.state.progress.step < 20
    saved = find_checkpoint(tmp_path, "auto")
    assert saved is not None and saved.name == f"step_{trainer.state.progress.step:07d}"


def test_an_ended_run_says_so_and_the_same_command_finishes_it(
    world: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    ended = tiny_config(world, tmp_path, "prior", num_steps=4, max_minutes=1e-9)
    run_training("prior", ended)
    assert "ended at step 1 of 4, all saved: train.max_minutes" in capfd.readouterr().err
    assert not (tmp_path / "final").exists()
    run_training("prior", tiny_config(world, tmp_path, "prior", num_steps=4))
    found = capfd.readouterr().err
    assert (tmp_path / "final").is_dir() and "other values" not in found


def test_the_second_signal_ends_the_process_at_once() -> None:
    script = (
        "import os, signal, time\n"
        "from jcdm.training.stopping import StopSignals\n"
        "with StopSignals() as signals:\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    assert signals.noted == signal.SIGTERM\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    time.sleep(9)\n"
    )
    result = subprocess.run([sys.executable, "-c", script], timeout=50, capture_output=True)
    assert result.returncode == -signal.SIGINT


def test_a_launcher_that_hands_on_a_signal_twice_sends_one() -> None:
    with StopSignals(patience=0.2) as signals:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        assert signals.poll() == signal.SIGTERM
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
        time.sleep(0.25)
        signals.poll()
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.parametrize(
    "option, words",
    [
        ("--train.max_minutes=0", "train.max_minutes must be more than 0"),
        ("--train.hang_minutes=-1", "train.hang_minutes must be >= 0"),
        ("--train.max_skipped_in_row=0", "train.max_skipped_in_row must be >= 1"),
    ],
)
def test_limits_that_make_no_sense_are_refused(
    option: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config = Path(__file__).parents[2] / "configs" / "tiny" / "stage1_prior.yaml"
    assert main(["train", "prior", "--config", str(config), option]) == 1
    assert words in capsys.readouterr().err
