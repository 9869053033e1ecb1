"""See what passes between a model's layers, and feed it noise that was written down."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from jcdm.errors import DataError

Seen = dict[str, list[Tensor]]


@contextmanager
def watch(
    outputs: Mapping[str, nn.Module], inputs: Mapping[str, tuple[nn.Module, int]] | None = None
) -> Iterator[Seen]:
    """Collect tensors by name, one a call, while the block runs.

    outputs: what a module returns, the first of a tuple. inputs: a module and the place of one of
    its positional arguments.
    """
    seen: Seen = {name: [] for name in (*outputs, *(inputs or {}))}

    def keep(name: str, value: Any) -> None:
        first = value[0] if isinstance(value, tuple) else value
        seen[name].append(torch.as_tensor(first).detach().clone())

    def output_hook(name: str) -> Any:
        return lambda _module, _inputs, output: keep(name, output)

    def input_hook(name: str, place: int) -> Any:
        return lambda _module, given: keep(name, given[place])

    hooks = [m.register_forward_hook(output_hook(name)) for name, m in outputs.items()]
    for name, (module, place) in (inputs or {}).items():
        hooks.append(module.register_forward_pre_hook(input_hook(name, place)))
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


class RecordedNoise:
    """A noise source that was written down: one tensor (B,...) a call, in their order."""

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self.tensors = list(tensors)

    def normal(self, purpose: str, shape: Sequence[int]) -> Tensor:
        """Return the next recorded tensor. Errors: DataError where none of that shape is left."""
        if not self.tensors or tuple(self.tensors[0].shape[1:]) != tuple(shape):
            found = tuple(self.tensors[0].shape[1:]) if self.tensors else "nothing"
            raise DataError(
                f"the next recorded noise is {found}; {purpose} needs {tuple(shape)}. "
                "Record one draw a step."
            )
        return self.tensors.pop(0)

    def generators(self) -> list[torch.Generator]:
        """Return none: a sampler that draws by itself was not recorded."""
        return []
