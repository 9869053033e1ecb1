"""How the data path scales over processes that `accelerate launch` starts."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from jcdm.bench.loading import VIEW, drawn_index
from jcdm.bench.results import Fact, Goal, Row
from jcdm.errors import JCDMError

LEAST_SCALING = 0.85
NUM_PROCESSES, NUM_BATCHES = 2, 8


def bench_processes(num_repeats: int = 3) -> Iterator[Row]:
    """Compare what two processes read with twice what one reads; by turns, medians."""
    with drawn_index(VIEW) as index:
        rates = [
            (reading_rate(index, 1), reading_rate(index, NUM_PROCESSES)) for _ in range(num_repeats)
        ]
    alone = median(one for one, _ in rates)
    yield Fact(name="data path, one process", value=alone, unit="people/s")
    yield Goal(
        name=f"data path, {NUM_PROCESSES} processes over {NUM_PROCESSES} times one",
        value=median(both / (NUM_PROCESSES * one) for one, both in rates),
        bound=LEAST_SCALING,
    )


def reading_rate(index: Path, num_processes: int, num_batches: int = NUM_BATCHES) -> float:
    """People a second that processes read together. Errors: JCDMError when they fail."""
    with TemporaryDirectory() as name:
        out = Path(name)
        command = [
            sys.executable,
            *("-m", "accelerate.commands.launch", "--num_machines", "1", "--dynamo_backend", "no"),
            *(("--multi_gpu", "--main_process_port", "0") if num_processes > 1 else ()),
            *("--num_processes", str(num_processes), "--mixed_precision", "no"),
            *("-m", "jcdm.bench.read_share", str(index), str(out), str(num_batches)),
        ]
        environment = os.environ | {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        files = sorted(out.glob(f"*_of_{num_processes}.txt"))
        if done.returncode or len(files) != num_processes:
            last = done.stderr.strip().splitlines()[-1:] or ["no message"]
            raise JCDMError(
                f"{num_processes} reading processes ended with exit code {done.returncode}, "
                f"{len(files)} of them done: {last[0]}. Try: accelerate launch --help"
            )
        return sum(float(file.read_text()) for file in files)
