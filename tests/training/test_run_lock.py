"""Two trainings never write into one folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from accelerate import Accelerator
from training_world import tiny_config

from jcdm.errors import ConfigError, JCDMError
from jcdm.training.heartbeat import Heartbeat
from jcdm.training.run import LOG_FILE, run_training
from jcdm.training.run_lock import LOCK_FILE, only_training

HOLD = """
import os, sys, time
from pathlib import Path
from jcdm.training.run_lock import only_training
with only_training(Path(sys.argv[1]), is_main=True):
    if os.fork() == 0:  # as a loader process is
        time.sleep(600)
    print("held", flush=True)
    sys.stdin.read()
    os._exit(1)  # as `kill -9` does: nothing is tidied up
"""


def hold(folder: Path) -> subprocess.Popen[str]:
    """Start a process that holds a folder until its standard input ends, and wait for it."""
    words = [sys.executable, "-c", HOLD, str(folder)]
    other = subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert other.stdout is not None and other.stdout.readline() == "held\n"
    return other


def test_a_second_training_in_a_folder_is_refused(world: Path, tmp_path: Path) -> None:
    other = hold(tmp_path)
    try:
        with pytest.raises(ConfigError, match=f"in use by another training .process {other.pid} "):
            run_training("prior", tiny_config(world, tmp_path))
        assert [path.name for path in tmp_path.iterdir()] == [LOCK_FILE]  # not even a line of log
        assert other.stdin is not None
        other.stdin.close()
        other.wait()
        run_training("prior", tiny_config(world, tmp_path, num_steps=1))
        assert (tmp_path / LOG_FILE).is_file()
    finally:
        os.killpg(other.pid, 9)


def test_ranks_that_wait_for_a_refused_one_say_so_in_one_line(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wait(*_: object) -> None:
        raise RuntimeError("[gloo/transport/tcp/pair.cc:547] Connection closed by peer")

    second = Heartbeat(Accelerator(cpu=True))
    second.rank, second.num_ranks = 1, 2
    monkeypatch.setattr("jcdm.training.run.Heartbeat", lambda _: second)
    monkeypatch.setattr("jcdm.training.run.find_checkpoint", wait)
    with pytest.raises(JCDMError, match=r"^rank 1 of 2, setting up: lost the other ranks"):
        run_training("prior", tiny_config(world, tmp_path))


def test_other_ranks_of_a_training_hold_nothing(tmp_path: Path) -> None:
    with only_training(tmp_path, is_main=False):
        assert not list(tmp_path.iterdir())


def test_a_disk_without_locks_is_named_and_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.lockf", refuse)
    with only_training(tmp_path, is_main=True):
        assert "cannot be locked against a second training" in caplog.text
