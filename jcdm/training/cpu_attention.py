"""Attention at its best on a CPU in bf16, where the fused backward pass is the slow one."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


@contextmanager
def float_attention_for_gradients() -> Iterator[None]:
    """While open, attention that a gradient flows through is computed in float32.

    The fused kernel's backward pass is 2 to 9 times slower in bf16 than in float32 on a CPU
    (torch 2.13, 4 heads of 14 to 32 channels, 24 to 768 tokens), its forward pass is not:
    attention without gradients, as in frozen encoders, keeps its type. The function is replaced
    in torch itself, since the U-Net's blocks are diffusers' own; a mode of torch would not reach
    what activation checkpointing computes again in the backward pass.
    """
    plain = F.scaled_dot_product_attention

    def attend(query: Tensor, key: Tensor, value: Tensor, *args: Any, **options: Any) -> Tensor:
        needs_gradient = query.requires_grad or key.requires_grad or value.requires_grad
        if not (needs_gradient and torch.is_grad_enabled()):
            return plain(query, key, value, *args, **options)
        with torch.autocast("cpu", enabled=False):
            widened = [_widen(argument) for argument in (query, key, value, *args)]
            named = {name: _widen(argument) for name, argument in options.items()}
            return plain(*widened, **named).to(torch.bfloat16)

    F.scaled_dot_product_attention = attend
    try:
        yield
    finally:
        F.scaled_dot_product_attention = plain


def _widen(argument: Any) -> Any:
    if isinstance(argument, Tensor) and argument.is_floating_point():
        return argument.float()
    return argument
