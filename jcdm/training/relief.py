"""What to do when the memory does not suffice: the settings that would help a run most."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch

from jcdm.config import Config
from jcdm.errors import ConfigError
from jcdm.training.plan import GIB, meta_parts
from jcdm.training.step_memory import count_step

NUM_NAMED = 3
_ON_THE_HOST = ("can't allocate memory", "cannot allocate memory", "not enough memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether an error is a lack of memory, on a GPU or of the host."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(words in text for words in _ON_THE_HOST)


@dataclass(frozen=True, slots=True, kw_only=True)
class Relief:
    """Settings that keep a run's task and lower its memory by `saved` bytes a process."""

    settings: str
    saved: int


def out_of_memory_line(kind: str, config: Config) -> str:
    """Say in one line what a run needs, and name up to three settings, the greatest help first."""
    needed, helping = find_relief(kind, config)
    words = [f"{relief.settings} (about {_size(relief.saved)} less)" for relief in helping]
    advice = "; ".join(words) if words else "a device with more memory"
    return (
        f"the memory did not suffice; by the plan a process of this run needs {_size(needed)} "
        f"(--dry_run shows of what). Most helps: {advice}. Checkpoints are untouched, and "
        "train.resume=auto continues from the last."
    )


def find_relief(kind: str, config: Config) -> tuple[int, list[Relief]]:
    """Count the bytes of a step, and what each possible change of settings would save."""
    needed = _peak(kind, config)
    found = []
    for settings, other in _alternatives(kind, config):
        try:
            saved = needed - _peak(kind, other)
        except ConfigError:  # such as a size that the VAE or the motion modules cannot cut
            continue
        if saved > 0:
            found.append(Relief(settings=settings, saved=saved))
    return needed, sorted(found, key=lambda relief: -relief.saved)[:NUM_NAMED]


def _peak(kind: str, config: Config) -> int:
    with torch.device("meta"):
        parts = meta_parts(kind, config)
    return count_step(kind, config, parts).peak


def _alternatives(kind: str, config: Config) -> Iterator[tuple[str, Config]]:
    """Yield what could be changed, as the words of the command line, with the configuration."""
    train, data = config.train, config.data
    if train.batch_size > 1:
        size = (train.batch_size + 1) // 2
        number = -(-train.batch_size * train.accumulation // size)
        words = f"--train.batch_size={size} --train.accumulation={number}"
        yield words, replace(config, train=replace(train, batch_size=size, accumulation=number))
    if not train.activation_checkpointing:
        other = replace(train, activation_checkpointing=True)
        yield "--train.activation_checkpointing=true", replace(config, train=other)
    if train.mixed_precision == "no":
        other = replace(train, mixed_precision="bf16")
        yield "--train.mixed_precision=bf16", replace(config, train=other)
    if kind != "prior" and config.encoders.cache is None and config.encoders.layout == "view":
        cached = replace(config.encoders, cache=config.run.out / "cache")
        yield "--encoders.cache=FOLDER, see `jcdm cache`", replace(config, encoders=cached)
    if kind != "prior":
        smaller = replace(data, height=data.height // 2, width=data.width // 2)
        words = f"--data.height={smaller.height} --data.width={smaller.width}, smaller pictures"
        yield words, replace(config, data=smaller)


def _size(number: int) -> str:
    return f"{number / GIB:.2f} GiB" if number >= GIB // 100 else f"{number / 2**20:.1f} MiB"
