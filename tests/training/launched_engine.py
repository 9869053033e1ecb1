"""Started by accelerate in each process: trains a stage under an engine, on CPUs.

accelerate itself offers FSDP and DeepSpeed on GPUs alone; what it is told here is all that keeps
it from running them on CPUs, by gloo.
"""

import sys
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin

from jcdm.cli.options import read_config
from jcdm.config import Config
from jcdm.training import run


def set_state(**values: Any) -> None:
    for state in (PartialState._shared_state, AcceleratorState._shared_state):
        state.update(values)


def with_fsdp(config: Config) -> Accelerator:
    accelerator = plain_accelerator(config)
    set_state(distributed_type=DistributedType.FSDP)
    AcceleratorState._shared_state["fsdp_plugin"] = FullyShardedDataParallelPlugin(
        fsdp_version=2,
        auto_wrap_policy="TRANSFORMER_BASED_WRAP",
        state_dict_type="SHARDED_STATE_DICT",
        cpu_ram_efficient_loading=False,
    )
    return accelerator


def with_deepspeed(config: Config) -> Accelerator:
    accelerator = plain_accelerator(config)
    rank = torch.distributed.get_rank()
    world_size = torch.distributed.get_world_size()
    set_state(num_processes=world_size, process_index=rank, local_process_index=rank)
    return accelerator


if __name__ == "__main__":
    torch.set_num_threads(1)
    engine, kind, file = sys.argv[1:]
    plain_accelerator = run.new_accelerator
    run.new_accelerator = {"fsdp": with_fsdp, "deepspeed": with_deepspeed}[engine]
    run.run_training(kind, read_config(Config, [], prog="launched", default_config=file))
