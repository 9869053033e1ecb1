"""Started by accelerate in each process: trains stages from YAML files and notes the world.

Beside each run it notes how many processes there were, and the keys of all micro-batches read.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState

from jcdm.cli.options import read_config
from jcdm.config import Config
from jcdm.records import Batch
from jcdm.training import run as training
from jcdm.training.run import run_training

build_loader = training.build_loader


def noting_loader(*arguments: Any, **options: Any) -> Iterator[Batch]:
    """Serve what the loader serves, and note the keys of every sample."""
    note = config.run.out / f"keys_of_rank_{PartialState().process_index}.jsonl"
    for batch in build_loader(*arguments, **options):
        with note.open("a", encoding="utf-8") as file:
            file.write(f"{json.dumps(batch.keys.tolist())}\n")
        yield batch


if __name__ == "__main__":
    torch.set_num_threads(1)
    training.build_loader = noting_loader
    for word in sys.argv[1:]:
        kind, file = word.split("=")
        config = read_config(Config, [], prog="launched", default_config=file)
        run_training(kind, config)
        state = PartialState()
        note = config.run.out / f"world_of_rank_{state.process_index}.txt"
        note.write_text(str(state.num_processes), encoding="utf-8")
    Path(sys.argv[-1].split("=")[1]).with_suffix(".done").touch()
