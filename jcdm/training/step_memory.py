"""The memory of a training step, counted operation by operation on tensors without content."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.checkpoint import checkpoint

from jcdm.config import Config
from jcdm.models.encoders import FrozenCLIPVision, FrozenVAE
from jcdm.records import Batch
from jcdm.training.cpu_attention import float_attention_for_gradients
from jcdm.training.footprint import LiveBytes
from jcdm.training.plan_objects import Sizes, prior_objects, stage2_objects
from jcdm.training.stages.base import NUM_ENCODED_AT_ONCE
from jcdm.training.stages.build import frozen_dtype


@dataclass(frozen=True, kw_only=True)
class Parts:
    """All models of a run on the meta device: the one that trains, the frozen ones by name.

    They have the types of training: float32, and the run's precision for what is frozen.
    """

    module: Any
    frozen: dict[str, Any]
    sizes: Sizes
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StepMemory:
    """Bytes of one process. activations: what a forward pass keeps for the backward pass.

    peak: the most at any moment of a step, parts, averages and moments included; not the process
    itself and its libraries, a GPU's workspaces, or what several processes need to send gradients.
    """

    activations: int
    peak: int


def count_step(kind: str, config: Config, parts: Parts) -> StepMemory:
    """Count the memory of a step on this machine's kind of device; fills `parts` with nothing.

    Everything that takes memory is done as in training: encoding the photographs, asking the
    frozen prior, the passes forward and back. Only the parts' sizes are needed, no weights.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    live = LiveBytes()
    with FakeTensorMode(allow_non_fake_inputs=True), torch.device(device):
        _place(parts, config, device)
        for module in (parts.module, *parts.frozen.values()):
            live.hold((*module.parameters(), *module.buffers()))
        with live, _attention(config, device):
            activations = _run_step(kind, config, parts, live, device)
    return StepMemory(activations=activations, peak=live.peak)


def _place(parts: Parts, config: Config, device: torch.device) -> None:
    """Give the parts fake weights, and do what `train` asks for."""
    for module in (parts.module, *parts.frozen.values()):
        module.to_empty(device=device)
    if config.train.activation_checkpointing:
        again = partial(checkpoint, use_reentrant=False, preserve_rng_state=False)
        parts.module.enable_gradient_checkpointing(again)


def _run_step(
    kind: str, config: Config, parts: Parts, live: LiveBytes, device: torch.device
) -> int:
    """Take a step with all that lives beside it; returns the bytes of its activations."""
    learned = [p for p in parts.module.parameters() if p.requires_grad]
    averages = [torch.zeros_like(p) for p in learned]
    kept = [torch.zeros_like(p) for p in learned for _ in ("exp_avg", "exp_avg_sq")]
    make = prior_objects if kind == "prior" else stage2_objects
    with torch.no_grad():
        objects, forward = make(parts.module, config, parts.sizes)
        batch: Batch = objects["Batch"]
        if config.encoders.cache is None:
            kept += _encode(parts.frozen, batch)
        if "prior" in parts.frozen:
            _ask_prior(config, parts)
    dtype = frozen_dtype(config)
    autocast = torch.autocast(device.type, dtype, enabled=dtype != torch.float32)
    activations = 0
    for _ in range(min(2, config.train.accumulation)):  # the second meets gradients of the first
        before = live.now
        with autocast:
            prediction = forward()
        activations = max(activations, live.now - before)
        prediction.float().square().mean().backward()
        del prediction
    for parameter in learned:
        parameter.grad = None
    torch._foreach_lerp_(averages, [p.detach() for p in learned], 0.1)  # as averaging does
    return activations


def _encode(frozen: dict[str, Any], batch: Batch) -> list[Tensor]:
    """Encode the photographs as a step does, a few at a time; returns what stays of them."""
    clip = FrozenCLIPVision(
        frozen["image encoder"], next(frozen["image encoder"].parameters()).dtype
    )
    found = [clip.embed(batch.clip_pixels.flatten(0, 1))]
    if "VAE" in frozen:
        vae = FrozenVAE(frozen["VAE"], next(frozen["VAE"].parameters()).dtype)
        for some in batch.images.flatten(0, 1).split(NUM_ENCODED_AT_ONCE):
            moments = vae.encode(some)
            found += [moments.mean, moments.std]
    return found


def _ask_prior(config: Config, parts: Parts) -> None:
    """Evaluate the frozen prior once: every step of its sampling takes the same memory."""
    _, forward = prior_objects(parts.frozen["prior"], config, parts.sizes)
    forward()


@contextmanager
def _attention(config: Config, device: torch.device) -> Iterator[None]:
    """Attend as training does on this kind of device, in both passes."""
    wide = device.type == "cpu" and config.train.mixed_precision == "bf16"
    with float_attention_for_gradients() if wide else nullcontext():
        yield
