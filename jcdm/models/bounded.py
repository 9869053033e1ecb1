"""Stop the building of a model that asks for more than its weights hold, before memory is full."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import safe_open
from torch.nn.modules import module as hooks

REPEATS = 3  # libraries build a tensor without numbers, then again with those of the file
SPARE_TENSORS, SPARE_NUMBERS = 1_000, 10_000_000  # what models have beside the file's: small


@contextmanager
def bounded_by(folder: Path) -> Iterator[None]:
    """While open, models may have about as many parameters as the safetensors of a folder hold.

    A configuration of a few damaged bytes could else fill any memory, or build layers for hours.
    Parameters are counted as modules take them, which is before their first numbers are drawn.
    Errors: ValueError as soon as there are too many; SafetensorError for unreadable weights.
    """
    sizes = [size for file in folder.glob("*.safetensors") for size in _tensor_sizes(file)]
    most_tensors = REPEATS * len(sizes) + SPARE_TENSORS
    most_numbers = REPEATS * sum(sizes) + SPARE_NUMBERS
    tensors = numbers = 0

    def count(_module: Any, _name: str, parameter: Any) -> None:
        nonlocal tensors, numbers
        tensors += 1
        numbers += 0 if parameter is None else parameter.numel()
        if tensors > most_tensors or numbers > most_numbers:
            raise ValueError(
                f"its layers take more than {most_tensors:,} tensors or {most_numbers:,} numbers; "
                f"the weights beside it are {len(sizes):,} tensors of {sum(sizes):,} numbers"
            )

    handle = hooks.register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        handle.remove()


def _tensor_sizes(file: Path) -> list[int]:
    """Return how many numbers each tensor of a file has, by its header."""
    with safe_open(file, framework="pt") as tensors:
        return [math.prod(tensors.get_slice(name).get_shape()) for name in tensors.keys()]  # noqa: SIM118
