"""What makes the module that trains faster or smaller without changing what it computes."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from jcdm.config import Config, TrainConfig
from jcdm.errors import ConfigError
from jcdm.models.apm import AppearancePriorTransformer
from jcdm.models.denoiser import JCDMDenoiser

Trained = AppearancePriorTransformer | JCDMDenoiser


def prepare_module(module: Trained, config: Config, device: torch.device) -> None:
    """Put the module that trains on its device in float32, and do what `train` asks for.

    That is activation checkpointing, memory order and compilation by blocks; none of them changes
    the name of a weight. Errors: ConfigError where no compiler is at hand.
    """
    train = config.train
    if train.activation_checkpointing:
        module.enable_gradient_checkpointing()
    nn.Module.to(module, device=device, dtype=torch.float32)  # diffusers' own `to` warns
    if train.channels_last:
        nn.Module.to(module, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if train.compile:
        require_compiler(train, device)
        for block in compiled_blocks(module):
            block.compile(backend=train.compile_backend, dynamic=False)


def compiled_blocks(module: Trained) -> Iterator[nn.Module]:
    """Yield what is compiled one by one: the prior's layers, or the U-Net's blocks.

    Blocks of one kind and size share their translation, which a whole U-Net of 25 blocks does not.
    Their sizes never change in a run, and translating for any size at once (`dynamic`) fails in
    inductor (torch 2.13) where two levels of a U-Net differ in size.
    """
    if isinstance(module, AppearancePriorTransformer):
        yield from module.layers
        return
    unet: Any = module.unet
    yield from (*unet.down_blocks, unet.mid_block, *unet.up_blocks)


def require_compiler(train: TrainConfig, device: torch.device) -> None:
    """Raise a ConfigError unless `train.compile_backend` exists and has its compiler here."""
    known = torch.compiler.list_backends(exclude_tags=())
    if train.compile_backend not in known:
        raise ConfigError(
            f"train.compile_backend is {train.compile_backend!r}, expected one of "
            f"{', '.join(known)}. The usual one is inductor."
        )
    if train.compile_backend == "inductor" and (missing := _missing_compiler(device)):
        raise ConfigError(
            f"train.compile=true needs {missing} on {device.type}, and none was found. Install it, "
            "or set train.compile=false."
        )


def _missing_compiler(device: torch.device) -> str | None:
    """Name what inductor lacks: Triton on a GPU, a C++ compiler on a CPU."""
    if device.type == "cpu":
        from torch._inductor.cpp_builder import get_cpp_compiler
        from torch._inductor.exc import InvalidCxxCompiler

        try:
            get_cpp_compiler()
        except InvalidCxxCompiler:
            return "a C++ compiler such as g++"
        return None
    return None if _has_triton() else "Triton"


def _has_triton() -> bool:
    from torch.utils._triton import has_triton

    return has_triton()
