"""Start a program of this folder in several processes on the CPU, as accelerate does."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
REPOSITORY = FOLDER.parents[1]
TIMEOUT = 300


def launch(
    num_processes: int, program: str, words: Sequence[str | Path]
) -> subprocess.CompletedProcess[str]:
    """Wait until a program has ended in all processes; a single one starts without accelerate."""
    launcher = [
        *("-m", "accelerate.commands.launch", "--multi_gpu", "--num_machines", "1"),
        *("--num_processes", str(num_processes), "--main_process_port", "0"),
        *("--mixed_precision", "no", "--dynamo_backend", "no"),
    ]
    command = [*(launcher if num_processes > 1 else ()), FOLDER / program, *words]
    variables = {
        "ACCELERATE_USE_CPU": "true",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": f"{REPOSITORY}{os.pathsep}{os.environ['PYTHONPATH']}",
    }
    return subprocess.run(
        [sys.executable, *command],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )


def launch_to_the_end(num_processes: int, program: str, words: Sequence[str | Path]) -> None:
    """Launch a program that must succeed."""
    result = launch(num_processes, program, words)
    assert result.returncode == 0, result.stderr[-8000:]
