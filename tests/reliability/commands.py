"""Start commands that may be killed, in fresh processes or in children of one that is ready."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from fork_server import wait_for_moment

KILLED = -9
_SERVER = Path(__file__).with_name("fork_server.py")
_REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Attempt:
    """How a command ended: its exit code, KILLED if it was, seconds, and what it printed."""

    code: int
    seconds: float
    printed: str


@dataclass(frozen=True)
class Kill:
    """When to act on a command; see `wait_for_moment`. amid: folders in which it writes."""

    after: float = 0.0
    amid: tuple[str, ...] = ()
    delay: float = 0.0
    lines: tuple[str, int] | None = None


Run = Callable[[list[str], Kill | None], Attempt]  # words; None = let it end


class ForkedCommands:
    """Runs commands in children of a process that has imported everything; call `close`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.count = folder, 0
        self.server = subprocess.Popen(
            [sys.executable, str(_SERVER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=_environment(),
        )

    def __call__(self, words: list[str], kill: Kill | None, act: str = "kill") -> Attempt:
        """Run a command, and act on it at a moment: kill, terminate or fill_disk."""
        self.count += 1
        log = self.folder / f"printed-{self.count}.txt"
        moment = asdict(kill) if kill else None
        request = {"words": words, "kill": moment, "act": act, "log": str(log)}
        assert self.server.stdin is not None and self.server.stdout is not None
        self.server.stdin.write(json.dumps(request) + "\n")
        self.server.stdin.flush()
        found = json.loads(self.server.stdout.readline())
        printed = log.read_text(encoding="utf-8") + found.pop("said")
        return Attempt(printed=printed, **found)

    def close(self) -> None:
        """End the process that forks."""
        assert self.server.stdin is not None
        self.server.stdin.close()
        self.server.wait(timeout=60)


def run_fresh(words: list[str], kill: Kill | None) -> Attempt:
    """Run `python -m jcdm ...` as a user does."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "jcdm", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=_environment(),
    )
    if kill is not None and wait_for_moment(process.pid, **asdict(kill)):
        process.kill()
    printed, _ = process.communicate()
    return Attempt(process.returncode, time.perf_counter() - started, printed)


def _environment() -> dict[str, str]:
    search = f"{_REPOSITORY}{os.pathsep}{os.environ['PYTHONPATH']}"
    return os.environ | {"PYTHONPATH": search, "OMP_NUM_THREADS": "1"}
