"""Processes of a pool end with the one that started them, however that ends."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from jcdm.pools import process_pool

REPOSITORY = Path(__file__).resolve().parents[1]
SCRIPT = """
import os, time
from jcdm.pools import process_pool

if __name__ == "__main__":
    with process_pool(2) as pool:
        print(*{f.result() for f in [pool.submit(os.getpid) for _ in range(50)]}, flush=True)
        time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_processes_of_a_killed_one_end_too(number: signal.Signals, tmp_path: Path) -> None:
    file = tmp_path / "pool.py"
    file.write_text(SCRIPT, encoding="utf-8")
    parent = subprocess.Popen(
        [sys.executable, str(file)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert parent.stdout is not None
        workers = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
        assert workers, "at work"
        parent.send_signal(number)
        parent.wait(timeout=30)
        _, alive = psutil.wait_procs(workers, timeout=30)
        assert alive == []
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(parent.pid, signal.SIGKILL)
        parent.communicate()


def test_every_process_is_prepared() -> None:
    with process_pool(1, prepare=_prepare) as pool:
        assert pool.submit(os.getenv, "JCDM_PREPARED").result() == "yes"


def _prepare() -> None:
    os.environ["JCDM_PREPARED"] = "yes"
