"""Memory that a process, or a GPU for it, held at most."""

import re
import resource
import sys
from pathlib import Path

import torch

_STATUS = Path("/") / "proc" / "self" / "status"


def peak_memory() -> float:
    """Largest resident memory of this process so far, in MB (10^6 bytes).

    Linux's own count is read where there is one: that of `getrusage` begins with what the process
    that started this one held.
    """
    if _STATUS.is_file():
        found = re.search(r"VmHWM:\s+(\d+) kB", _STATUS.read_text(encoding="ascii"))
        if found is not None:
            return int(found[1]) * 1024 / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def device_peak_memory(device: torch.device) -> float:
    """Most MB held on a device so far: what tensors took of a GPU, or this process's on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    return peak_memory()
