"""Gradients of our parameters, under the published names, against the recorded ones."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from jcdm.compat.parity.comparison import GRADIENT, Row, compare

PREFIX = "grad."


def gradient_rows(
    name: str, found: Mapping[str, Tensor], golden: Mapping[str, Tensor]
) -> Iterator[Row]:
    """Compare every recorded gradient with ours; found: published name -> gradient."""
    for key in (key for key in golden if key.startswith(PREFIX)):
        ours = found.get(key.removeprefix(PREFIX), torch.empty(0))
        yield compare(f"{name}/{key}", ours, golden[key], GRADIENT)


def gradients_by_official_name(
    module: nn.Module, rename: Callable[[dict[str, Tensor]], Mapping[str, Tensor]]
) -> Mapping[str, Tensor]:
    """Collect a module's gradients, zeros where there is none, renamed as its weights are."""
    grads = {k: torch.zeros_like(v) for k, v in module.state_dict().items()}
    grads |= {k: p.grad for k, p in module.named_parameters() if p.grad is not None}
    return rename(grads)


def gradient_norm(parameters: Iterable[nn.Parameter]) -> Any:
    """Measure the L2 norm over all gradients, as the training loop does before it clips."""
    return nn.utils.clip_grad_norm_(list(parameters), float("inf"))
