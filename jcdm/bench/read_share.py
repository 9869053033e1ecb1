"""Read this process's share of drawn people; started by `accelerate launch -m` in each process.

Words: the index, a file to write people a second to (its name gets the rank), number of batches.
"""

import sys
import time
from pathlib import Path

import torch

from jcdm.bench.loading import BATCH_SIZE, VIEW, open_people
from jcdm.data.loader import build_loader
from jcdm.data.workers import single_threaded
from jcdm.processes import process_state


def read_share(index: Path, out: Path, num_batches: int) -> None:
    """Read batches of this rank, all ranks at the same time, and write people a second."""
    state = process_state()
    single_threaded(0)
    batches = build_loader(
        open_people(index, VIEW),
        batch_size=BATCH_SIZE,
        seed=0,
        rank=state.process_index,
        world_size=state.num_processes,
    )
    next(batches)
    state.wait_for_everyone()
    start = time.perf_counter()
    for _ in range(num_batches):
        next(batches)
    rate = BATCH_SIZE * num_batches / (time.perf_counter() - start)
    (out / f"{state.process_index}_of_{state.num_processes}.txt").write_text(str(rate))
    if state.num_processes > 1:
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    read_share(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
