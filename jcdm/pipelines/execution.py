"""How a pipeline's models are run: in tiles, compiled, or waiting in main memory."""

import importlib.util
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any
from weakref import WeakSet

import torch
from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import nn
from torch._dynamo.exc import TorchDynamoException

from jcdm.config import Precision
from jcdm.errors import ConfigError
from jcdm.pipelines.sampling import SamplingOptions

BACKEND = "inductor"
CPU_COMPILERS = ("g++", "clang++", "c++", "cl")
NUM_SHAPES = 64  # a U-Net's blocks have more shapes than the 8 that a function is compiled for
_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
_TILE_STATE = ("use_tiling", "use_slicing", "tile_sample_min_size", "tile_latent_min_size")
_compiled_unets: WeakSet[nn.Module] = WeakSet()


@contextmanager
def vae_tiles(vae: Any, side: int | None) -> Iterator[None]:
    """Let a diffusers VAE work in tiles of `side` pixels, and on one picture at a time.

    Tiles overlap by a quarter and are blended; pictures that fit in one are not cut. Attention and
    norms see a tile alone, so results differ a little from those of the whole picture. None leaves
    the VAE as it is. Errors: ConfigError for a side that overlaps by no whole latent cell.
    """
    if side is None:
        yield
        return
    factor = 2 ** (len(vae.config.block_out_channels) - 1)
    if side % (4 * factor):
        raise ConfigError(
            f"vae_tile is {side}; expected a multiple of {4 * factor} pixels, four latent cells "
            "of this VAE."
        )
    before = {name: getattr(vae, name) for name in _TILE_STATE}
    vae.enable_tiling()
    vae.enable_slicing()
    vae.tile_sample_min_size, vae.tile_latent_min_size = side, side // factor
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(vae, name, value)


@contextmanager
def compiled_blocks(unet: UNet2DConditionModel, wanted: bool) -> Iterator[None]:
    """Run the U-Net's residual and transformer blocks compiled, or as they are.

    Blocks stay compiled for later blocks of this kind; where that is not wanted, they run as if
    they were not. Errors: ConfigError where there is no compiler, or it fails.
    """
    if not wanted:
        if unet not in _compiled_unets:
            yield
            return
        with torch.compiler.set_stance("force_eager"):
            yield
        return
    if unet not in _compiled_unets:
        _check_compiler(unet.device)
        compile_blocks(unet)
    try:
        with torch._dynamo.config.patch(recompile_limit=NUM_SHAPES):
            yield
    except TorchDynamoException as error:
        reason = " ".join(str(error).split())[:200]
        raise ConfigError(
            f"torch.compile failed: {type(error).__name__}: {reason}. Set compile to false."
        ) from error


def compile_blocks(unet: UNet2DConditionModel) -> None:
    """Compile the blocks that repeat: little to compile, and hooks between them stay outside."""
    for module in unet.modules():
        if isinstance(module, (ResnetBlock2D, BasicTransformerBlock)):
            module.compile(backend=BACKEND, fullgraph=False)
    _compiled_unets.add(unet)


def _check_compiler(device: torch.device) -> None:
    """Raise a ConfigError where torch.compile would find nothing to compile with."""
    if BACKEND != "inductor":
        return
    if device.type == "cpu" and not any(map(shutil.which, CPU_COMPILERS)):
        raise ConfigError(
            "compile is set, but no C++ compiler was found; expected one of "
            f"{', '.join(CPU_COMPILERS)} on the PATH. Install one, or set compile to false."
        )
    if device.type == "cuda" and importlib.util.find_spec("triton") is None:
        raise ConfigError(
            "compile is set, but Triton, which compiles for GPUs, is not installed; run: "
            "pip install triton, or set compile to false."
        )


def reduced_precision(device: torch.device, precision: Precision) -> AbstractContextManager[object]:
    """Compute products in `precision` as training with mixed precision does; `no`: as they are.

    Errors: ConfigError for fp16 without a GPU, where torch would compute it far slower.
    """
    if precision == "no":
        return nullcontext()
    if precision == "fp16" and device.type == "cpu":
        raise ConfigError("mixed_precision is fp16, which needs a GPU; on a CPU, set bf16 or no.")
    return torch.autocast(device.type, _DTYPES[precision])


def place(pipeline: Any, options: SamplingOptions, device: torch.device | None = None) -> None:
    """Keep models in main memory until they are needed, where asked for and where there is a GPU.

    To be called again after a component was replaced. device: the GPU, by default the first.
    """
    if options.offload and torch.cuda.is_available():
        pipeline.enable_model_cpu_offload(device=device or "cuda")
