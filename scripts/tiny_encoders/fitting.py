"""One training loop for both encoders: AdamW for a number of steps, averaged weights on disk."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from diffusers.training_utils import EMAModel
from safetensors.torch import save_file
from torch import Tensor, nn


def train(
    name: str,
    module: nn.Module,
    loss_of: Callable[[int], Tensor],
    work: Path,
    num_steps: int,
    rate: float,
) -> None:
    """AdamW with warm-up and a cosine over the steps; EMA weights are what is kept."""
    ema = EMAModel(module.parameters(), decay=0.999, use_ema_warmup=True, power=0.75)
    optimizer = torch.optim.AdamW(
        module.parameters(), lr=rate, weight_decay=0.01, betas=(0.9, 0.98), fused=True
    )
    for step in range(num_steps):
        share = 0.5 + 0.5 * math.cos(math.pi * step / num_steps)
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1, (step + 1) / 200) * max(0.02, share)
        loss = loss_of(step)
        loss.backward()
        nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        ema.step(module.parameters())
        if step % 100 == 99:
            print(f"{name} step {step + 1} of {num_steps}, loss {loss.item():.4f}", flush=True)
        if step % 500 == 499 or step == num_steps - 1:
            _save_ema(module, ema, work / f"{name}.safetensors")


def _save_ema(module: nn.Module, ema: EMAModel, path: Path) -> None:
    ema.store(module.parameters())
    ema.copy_to(module.parameters())
    save_file({k: v.contiguous().clone() for k, v in module.state_dict().items()}, path)
    ema.restore(module.parameters())


def batches(num: int, size: int, seed: int) -> Iterator[np.ndarray]:
    """Draw `size` of `num` row numbers for ever."""
    generator = np.random.default_rng(seed)
    while True:
        yield generator.choice(num, size, replace=num < size)
