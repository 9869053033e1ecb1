"""How and where to measure: size, device, precision, threads, repeats."""

from dataclasses import dataclass
from typing import cast, get_args

import torch

from jcdm.bench.sizes import BenchSize, find_size
from jcdm.config import Precision
from jcdm.errors import ConfigError
from jcdm.host_memory import keep_freed_memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """How to measure: sizes, where, how often and in which precision."""

    size: BenchSize
    device: torch.device
    num_repeats: int
    mixed_precision: Precision = "no"


def bench_setting(
    size: str,
    device: str,
    *,
    num_repeats: int,
    mixed_precision: str | None = None,
    num_threads: int | None = None,
) -> Bench:
    """Check what was asked for. The precision is that of training: bf16 on a GPU, float32 else.

    Errors: ConfigError.
    """
    if device not in ("cpu", "cuda"):
        raise ConfigError(f"--device is {device!r}; expected cpu or cuda.")
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("--device is cuda, but torch finds no GPU here. Use --device cpu.")
    precision = mixed_precision or ("bf16" if device == "cuda" else "no")
    if precision not in get_args(Precision):
        raise ConfigError(f"--mixed_precision is {precision!r}; expected no, bf16 or fp16.")
    if num_repeats < 1 or (num_threads is not None and num_threads < 1):
        raise ConfigError("--num_repeats and --num_threads must be 1 or more.")
    if num_threads is not None:
        torch.set_num_threads(num_threads)
    keep_freed_memory(torch.device(device))
    return Bench(
        size=find_size(size),
        device=torch.device(device),
        num_repeats=num_repeats,
        mixed_precision=cast(Precision, precision),
    )
