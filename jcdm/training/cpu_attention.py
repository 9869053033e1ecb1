"""Attention at its best on a CPU in bf16, where the fused backward pass is the slow one."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode


class FloatAttentionForGradients(TorchFunctionMode):
    """While active, attention that a gradient flows through is computed in float32.

    The fused kernel's backward pass is 2 to 9 times slower in bf16 than in float32 on a CPU
    (torch 2.13, 4 heads of 14 to 32 channels, 24 to 768 tokens), its forward pass is not:
    attention without gradients, as in frozen encoders, keeps its type.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Pass every function on as it is, except attention on tensors that need gradients."""
        options = kwargs or {}
        if func is not F.scaled_dot_product_attention or not _needs_gradient(args, options):
            return func(*args, **options)
        with torch.autocast("cpu", enabled=False):
            widened = (_widen(value) for value in args)
            result = func(*widened, **{name: _widen(value) for name, value in options.items()})
        return result.to(torch.bfloat16)


def _needs_gradient(args: tuple[Any, ...], options: dict[str, Any]) -> bool:
    tensors = [value for value in (*args, *options.values()) if isinstance(value, torch.Tensor)]
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)


def _widen(value: Any) -> Any:
    if isinstance(value, torch.Tensor) and value.is_floating_point():
        return value.float()
    return value
