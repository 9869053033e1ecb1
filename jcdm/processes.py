"""The processes that `accelerate launch` started, for commands that train nothing."""

import os

import torch
from accelerate import PartialState
from accelerate.utils import parse_flag_from_env

from jcdm.host_memory import keep_freed_memory


def process_state() -> PartialState:
    """Join the other processes, on the accelerator or, where there is none, on the CPU.

    Plain `PartialState()` ignores ACCELERATE_USE_CPU: processes on the CPU would each believe to be
    alone, and all do the whole work.
    """
    on_cpu = parse_flag_from_env("ACCELERATE_USE_CPU") or not torch.accelerator.is_available()
    state = PartialState(cpu=on_cpu)
    keep_freed_memory(state.device)
    return state


def num_local_processes() -> int:
    """Count the processes that were started together on this computer, and share its processors."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
