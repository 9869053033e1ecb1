"""AdamW, its learning rate as a function of the step, and its moments as named tensors."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from jcdm.config import OptimConfig

MOMENTS = ("exp_avg", "exp_avg_sq", "step")


def build_optimizer(
    parameters: Mapping[str, nn.Parameter], config: OptimConfig
) -> torch.optim.AdamW:
    """Build AdamW over the parameters, in their order."""
    return torch.optim.AdamW(
        list(parameters.values()),
        lr=config.learning_rate,
        betas=config.betas,
        weight_decay=config.weight_decay,
        fused=True,
    )


def learning_rate(step: int, num_steps: int, config: OptimConfig) -> float:
    """Learning rate of step 0..num_steps-1: linear warm-up, then as `optim.schedule` says.

    `linear` and `cosine` fall towards zero, which they would reach at step num_steps.
    """
    if step < config.num_warmup_steps:
        return config.learning_rate * (step + 1) / config.num_warmup_steps
    done = (step - config.num_warmup_steps) / max(1, num_steps - config.num_warmup_steps)
    if config.schedule == "linear":
        return config.learning_rate * (1 - done)
    if config.schedule == "cosine":
        return config.learning_rate * (0.5 + 0.5 * math.cos(math.pi * done))
    return config.learning_rate


def set_learning_rate(optimizer: Any, rate: float) -> None:
    """Set the rate of every parameter group."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def skip_unless(optimizer: Any, taken: Tensor) -> None:
    """Let the next step leave weights and moments alone where `taken` (scalar bool) is False.

    Fused kernels read this flag on the device itself, so that nothing waits for it.
    """
    plain = getattr(optimizer, "optimizer", optimizer)  # accelerate wraps it
    plain.found_inf = (~taken).float()


def optimizer_tensors(optimizer: Any, parameters: Mapping[str, nn.Parameter]) -> dict[str, Tensor]:
    """Moments and step counts as `<parameter>/<moment>`; a parameter never updated has none."""
    return {
        f"{name}/{moment}": optimizer.state[parameter][moment]
        for name, parameter in parameters.items()
        if parameter in optimizer.state
        for moment in MOMENTS
    }


def load_optimizer(
    optimizer: Any, tensors: Mapping[str, Tensor], parameters: Mapping[str, nn.Parameter]
) -> None:
    """Put saved moments back. Rates, betas and decay are the configuration's, not the file's."""
    for name, parameter in parameters.items():
        if f"{name}/step" not in tensors:
            continue
        moments = {key: tensors[f"{name}/{key}"] for key in ("exp_avg", "exp_avg_sq")}
        optimizer.state[parameter] = {
            "step": tensors[f"{name}/step"].clone().to(parameter.device),
            **{key: _laid_out_like(parameter, moment) for key, moment in moments.items()},
        }


def _laid_out_like(parameter: Tensor, moment: Tensor) -> Tensor:
    """Copy a moment in the parameter's own memory order: fused kernels walk both side by side."""
    return torch.empty_like(parameter, requires_grad=False).copy_(moment)
