"""Processors, memory and graphics cards."""

import os
import shutil
from collections.abc import Iterator

import torch

from jcdm.doctor.finding import Finding, note, ok, readable
from jcdm.manifest import processor, system_facts


def find_processors() -> Iterator[Finding]:
    """Look at what torch computes with on the CPU."""
    capability = torch.backends.cpu.get_cpu_capability()
    threads, count = torch.get_num_threads(), os.cpu_count()
    name = processor() or "a processor of no name"
    yield ok("cpu", f"{count} x {name}, {capability}, torch uses {threads} threads")
    fast = {"avx512_bf16", "amx_bf16", "bf16"} & _flags()
    line = "by the processor itself" if fast else "emulated: train.mixed_precision=no is faster"
    yield (ok if fast else note)("cpu bf16", line)


def find_memory() -> Iterator[Finding]:
    """Look at main memory, where the system tells it."""
    facts = system_facts("meminfo")
    if not {"MemAvailable", "MemTotal"} <= facts.keys():
        yield note("memory", "not told by this system")
        return
    free, total = (
        readable(1024 * int(facts[name].split()[0])) for name in ("MemAvailable", "MemTotal")
    )
    yield ok("memory", f"{free} free of {total}; what a run needs: train STAGE --dry_run")


def find_cards() -> Iterator[Finding]:
    """Look at CUDA devices."""
    for number in range(torch.cuda.device_count()):
        facts = torch.cuda.get_device_properties(number)
        kind = "bf16" if facts.major >= 8 else "no bf16: use train.mixed_precision=no"
        yield ok(f"gpu {number}", f"{facts.name}, {readable(facts.total_memory)}, {kind}")
    if torch.cuda.device_count():
        return
    if shutil.which("nvidia-smi") and torch.version.cuda is None:
        yield note(
            "gpu",
            f"there may be one, but torch {torch.__version__} is a CPU build; install another: "
            "https://pytorch.org/get-started/locally",
        )
        return
    yield note("gpu", "none: everything runs on the CPU; configs/tiny is made for that")


def _flags() -> set[str]:
    """What the processor says it can do, on Linux."""
    facts = system_facts("cpuinfo")
    return set(facts.get("flags", facts.get("Features", "")).split())
