"""Memory that painting one person takes, counted on tensors without content."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from jcdm.bench.models import NUM_VIEWS
from jcdm.bench.sizes import FULL
from jcdm.pipelines.execution import vae_tiles
from jcdm.pipelines.sampling import SamplingOptions
from jcdm.training.footprint import LiveBytes, meta_like, parameter_bytes
from jcdm.training.plan import meta_parts
from jcdm.training.plan_objects import prior_objects
from jcdm.training.step_memory import Parts

_DTYPE = torch.bfloat16
_NUM_TARGETS = 3


def sampling_peak(view: tuple[int, int], preset: str) -> int:
    """Predict the most bytes of a GPU that paints three views of one person, all in bf16.

    Every model's work on its own; beside it the weights of all models, or, where the preset lets
    models wait in main memory, of that model alone. Without workspaces of the GPU.
    """
    options = SamplingOptions.preset(preset)
    config = replace(FULL, height=view[0], width=view[1]).config("denoiser")
    config = replace(config, train=replace(config.train, batch_size=1))
    with torch.device("meta"):
        parts = meta_parts("denoiser", config)
    for module in (parts.module, *parts.frozen.values()):
        nn.Module.to(module, dtype=_DTYPE)  # diffusers' own `to` warns
    models = {"denoiser": parts.module, **parts.frozen}
    weights = {name: parameter_bytes(module) for name, module in models.items()}
    working = _working_bytes(parts, view, options)
    if options.offload:
        return max(weights[name] + working[name] for name in models)
    return sum(weights.values()) + max(working.values())


@torch.no_grad()
def _working_bytes(
    parts: Parts, view: tuple[int, int], options: SamplingOptions
) -> Mapping[str, int]:
    """Most bytes beside the weights while each model works."""
    found: dict[str, int] = {}
    with FakeTensorMode(allow_non_fake_inputs=True), torch.device("cpu"):
        modules = (parts.module, *parts.frozen.values())
        for module in modules:
            module.to_empty(device="cpu")
        for name, run in _jobs(parts, view, options).items():
            live = LiveBytes()
            live.hold(w for module in modules for w in (*module.parameters(), *module.buffers()))
            weights = live.now
            with live:
                run()
            found[name] = live.peak - weights
    return found


def _jobs(
    parts: Parts, view: tuple[int, int], options: SamplingOptions
) -> dict[str, Callable[[], Any]]:
    """One call a model: as large as sampling makes it."""
    sizes, unet, vae = parts.sizes, parts.module.unet, parts.frozen["VAE"]
    height, width = (side // sizes.factor for side in view)
    grids = 1 if options.guidance_scale == 1 else 2

    def half(*shape: int) -> torch.Tensor:
        return meta_like(*shape, dtype=_DTYPE)

    def paint() -> None:
        first = unet.config.block_out_channels[0]
        channels = unet.config.in_channels + first
        tokens = half(grids, FULL.jci.count_tokens(NUM_VIEWS), unet.config.cross_attention_dim)
        sample = half(grids, channels, 2 * height, 2 * width)
        unet(sample, meta_like(grids), encoder_hidden_states=tokens)

    def decode() -> None:
        with vae_tiles(vae, options.vae_tile):
            vae.decode(half(_NUM_TARGETS, sizes.latent_channels, height, width))

    def embed() -> None:
        square = half(1, 3, sizes.clip_size, sizes.clip_size)
        parts.frozen["image encoder"](pixel_values=square)

    def predict() -> None:
        config = FULL.config("prior")
        config = replace(config, train=replace(config.train, batch_size=1))
        prior_objects(parts.frozen["prior"], config, sizes)[1]()

    return {"denoiser": paint, "VAE": decode, "image encoder": embed, "prior": predict}
