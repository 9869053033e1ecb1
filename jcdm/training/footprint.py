"""How much memory a module's parameters and the tensors of its training step take."""

import weakref
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter
from torch.utils.weak import WeakIdKeyDictionary


def parameter_bytes(module: nn.Module, *, only_trainable: bool = False) -> int:
    """Bytes of a module's parameters."""
    chosen = (p for p in module.parameters() if p.requires_grad or not only_trainable)
    return sum(p.numel() * p.element_size() for p in chosen)


class LiveBytes(TorchDispatchMode):
    """While open, follows every tensor from its birth to its death; `peak` is the most at once.

    Counts storages, so that views cost nothing. Works on fake tensors, which have sizes and no
    content: what a step needs is counted operation by operation, without the memory for it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.peak = 0
        self._seen = WeakIdKeyDictionary()

    def hold(self, tensors: Iterable[Tensor]) -> None:
        """Count tensors that were there before."""
        for tensor in tensors:
            storage = tensor.untyped_storage()
            if storage in self._seen:
                continue
            self._seen[storage] = True
            self.now += storage.nbytes()
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self._release, storage.nbytes())

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run an operation and count what it made."""
        result = operation(*args, **(kwargs or {}))
        self.hold(part for part in tree_iter(result) if isinstance(part, Tensor))
        return result

    def _release(self, num_bytes: int) -> None:
        self.now -= num_bytes


def meta_like(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Make a tensor of no particular content on the device of the context, meta or fake."""
    return torch.empty(shape, dtype=dtype)
