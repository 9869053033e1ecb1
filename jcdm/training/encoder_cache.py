"""Build or verify the cache that a training configuration names."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from accelerate import PartialState
from accelerate.utils import gather_object

from jcdm.cache.build import BuildTimes, CacheBuilder, CacheWork
from jcdm.cache.layout import CacheIdentity, CacheManifest
from jcdm.cache.opening import expected_identity, open_cache, require_local
from jcdm.cache.verify import find_problems
from jcdm.config import Config
from jcdm.data.drawn import ensure_index
from jcdm.data.index import read_index
from jcdm.logs import PacedProgress, console_messages, quiet_libraries
from jcdm.models.encoders import FrozenCLIPVision, FrozenVAE
from jcdm.processes import num_local_processes, process_state
from jcdm.training.identity import write_cache_identity
from jcdm.training.stages.build import frozen_dtype

logger = logging.getLogger(__name__)


def build_configured(
    config: Config,
    *,
    dtype: str = "float32",
    patch_tokens: bool = False,
    appearance_only: bool = False,
) -> str | None:
    """Build encoders.cache for all pictures of data.index; returns what was done, in one line.

    Under `accelerate launch` the processes share the work, and the first one returns the line.
    Errors: ConfigError, DataError.
    """
    folder = require_local(config.encoders.cache, "encoders.cache")
    state = process_state()
    with console_messages(is_main=state.is_main_process):
        with state.main_process_first():
            size = (config.data.height, config.data.width)
            ensure_index(config.data.index, config.data.draw, size=size)
        builder = _builder(config, folder, state.device, with_latents=not appearance_only)
        identity = replace(builder.identity, dtype=dtype, patch_tokens=patch_tokens)
        builder = replace(builder, identity=identity)
        report = PacedProgress(logger, "photographs encoded")
        work = shared_work(state, config.data.num_workers, report)
        on_bad = config.data.on_bad
        manifest = builder.build(_pictures(config), config.data.index, work, on_bad)
        state.wait_for_everyone()
    if manifest is None:
        return None
    vae = None if appearance_only else config.encoders.vae
    write_cache_identity(folder, config, image_encoder=config.encoders.image_encoder, vae=vae)
    return _summary(folder, manifest, builder.times)


def shared_work(
    state: PartialState, num_workers: int, report: Callable[[int, int], None]
) -> CacheWork:
    """Say which part of building a cache is this process's, and how it meets the others."""
    return CacheWork(
        rank=state.process_index,
        num_ranks=state.num_processes,
        num_local=num_local_processes(),
        num_workers=num_workers,
        wait=state.wait_for_everyone,
        gather=gather_object if state.num_processes > 1 else lambda mine: mine,
        report=report,
    )


def verify_configured(config: Config) -> list[str]:
    """Name every problem of encoders.cache in one line each. Errors: ConfigError, DataError."""
    folder = require_local(config.encoders.cache, "encoders.cache")
    cache = open_cache(config)
    assert cache is not None
    kept: CacheIdentity = cache.manifest.identity
    device = process_state().device
    builder = _builder(config, folder, device, with_latents=kept.vae is not None)
    cache.require(builder.identity, [])
    builder = replace(builder, identity=kept)
    data = config.data
    return list(find_problems(cache, builder, _pictures(config), data.index, data.on_bad))


def _builder(
    config: Config, folder: Path, device: torch.device, *, with_latents: bool
) -> CacheBuilder:
    dtype, vae = frozen_dtype(config), None
    with quiet_libraries():
        clip = FrozenCLIPVision.from_folder(config.encoders.image_encoder, dtype).to(device)
        if with_latents:
            vae = FrozenVAE.from_folder(config.encoders.vae, dtype).to(device)
            vae.model.to(memory_format=torch.channels_last)  # as in training, to the last digit
    identity = expected_identity(config, clip, vae)
    return CacheBuilder(folder=folder, identity=identity, clip=clip, vae=vae)


def _pictures(config: Config) -> list[Path]:
    records = read_index(config.data.index)
    return sorted({view.image for record in records for view in record.views})


def _summary(folder: Path, manifest: CacheManifest, times: BuildTimes) -> str:
    share = 100 * times.encoding / times.total if times.total else 0
    size = sum(file.stat().st_size for file in folder.glob("*.safetensors")) / 1e9
    left_out = ""
    if manifest.left_out:
        first = next(iter(manifest.left_out.values()))
        left_out = f"; {len(manifest.left_out):,} left out, first: {first.reason}"
    return (
        f"{len(manifest.photographs):,} photographs, {manifest.num_rows:,} different ones, "
        f"{size:.2f} GB: {folder}; {times.total:.1f} s, {share:.0f} % of it inside the encoders"
        f"{left_out}"
    )
