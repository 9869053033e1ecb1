"""Started by accelerate in each process: trains stages from YAML files and notes the world."""

import sys
from pathlib import Path

import torch
from accelerate import PartialState

from jcdm.cli.options import read_config
from jcdm.config import Config
from jcdm.training.run import run_training

if __name__ == "__main__":
    torch.set_num_threads(1)
    for word in sys.argv[1:]:
        kind, file = word.split("=")
        config = read_config(Config, [], prog="launched", default_config=file)
        run_training(kind, config)
        state = PartialState()
        note = config.run.out / f"world_of_rank_{state.process_index}.txt"
        note.write_text(str(state.num_processes), encoding="utf-8")
    Path(sys.argv[-1].split("=")[1]).with_suffix(".done").touch()
