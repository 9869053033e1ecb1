"""How much memory a module's parameters and the activations of its training step take."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from jcdm.config import Config


def parameter_bytes(module: nn.Module, *, only_trainable: bool = False) -> int:
    """Bytes of a module's parameters."""
    chosen = (p for p in module.parameters() if p.requires_grad or not only_trainable)
    return sum(p.numel() * p.element_size() for p in chosen)


def activation_bytes(module: Any, forward: Callable[[], Tensor], config: Config) -> int:
    """Bytes that a forward pass keeps for the backward pass, roughly; works on the meta device.

    Counts what autograd saves, each tensor once, at half the size under mixed precision. With
    activation checkpointing: what enters the checkpointed pieces, and the largest of them anew.
    """
    saved = _Saved(module)
    pieces: list[int] = []

    def checkpoint(piece: Callable[..., Any], *inputs: Any) -> Any:
        for tensor in inputs:
            if isinstance(tensor, Tensor):
                saved.add(tensor)
        inner = _Saved(module)
        with inner.recording():
            output = piece(*inputs)
        pieces.append(inner.num_bytes)
        return output

    if config.train.activation_checkpointing:
        module.enable_gradient_checkpointing(checkpoint)
    with saved.recording():
        forward()
    share = 2 if config.train.mixed_precision != "no" else 1
    return (saved.num_bytes + max(pieces, default=0)) // share


class _Saved:
    """Adds up the tensors that autograd saves, parameters left out."""

    def __init__(self, module: nn.Module) -> None:
        self.num_bytes = 0
        self.seen: dict[int, Tensor] = {id(p): p for p in module.parameters()}

    def add(self, tensor: Tensor) -> Tensor:
        """Count a tensor unless it, or the tensor it is a view of, was counted before."""
        whole = tensor._base if tensor._base is not None else tensor
        if id(whole) not in self.seen:
            self.seen[id(whole)] = whole  # kept, so that no other tensor gets its id
            self.num_bytes += whole.numel() * whole.element_size()
        return tensor

    def recording(self) -> saved_tensors_hooks:
        """Count all that is saved inside the context."""
        return saved_tensors_hooks(self.add, lambda tensor: tensor)


def meta_like(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Make a tensor without content."""
    return torch.empty(shape, dtype=dtype, device="meta")
