"""From a training run to a `JCDMPipeline` folder: everything that sampling needs, in one place."""

import shutil
from pathlib import Path

import torch

from jcdm.config import Config
from jcdm.diffusion.schedule import Scheduler, build_denoiser_scheduler, build_prior_scheduler
from jcdm.errors import CheckpointError, ConfigError
from jcdm.folders import write_folder
from jcdm.logs import quiet_libraries
from jcdm.models.apm import AppearancePriorTransformer
from jcdm.models.denoiser import JCDMDenoiser
from jcdm.models.encoders import FrozenCLIPVision, FrozenVAE
from jcdm.pipelines.multiview import JCDMPipeline
from jcdm.training.parts import load_part

RUN_MANIFEST = "manifest.json"
PROVENANCE = "provenance.json"


def join_parts(
    config: Config,
    *,
    vae: FrozenVAE,
    clip: FrozenCLIPVision,
    prior: AppearancePriorTransformer | None,
    denoiser: JCDMDenoiser,
    scheduler: Scheduler,
) -> JCDMPipeline:
    """Join a run's parts to the pipeline that its configuration describes."""
    return JCDMPipeline(
        vae=vae.model,
        image_encoder=clip.model,
        prior=prior,  # type: ignore[arg-type]
        denoiser=denoiser,
        scheduler=scheduler,
        prior_scheduler=build_prior_scheduler(),  # type: ignore[arg-type]
        height=config.data.height,
        width=config.data.width,
        layout=config.encoders.layout,
        fit=config.data.fit,
        clip_fit=config.encoders.clip_fit,
    )


def pack_run(run: Path, config: Config, out: Path, *, dtype: torch.dtype) -> Path:
    """Write the pipeline of a denoiser or motion run as a `from_pretrained` folder `out`.

    Averaged weights (EMA) of the run, the prior and the encoders that its `config` names, all in
    `dtype`; provenance.json is the run's manifest. Errors: CheckpointError, ConfigError.
    """
    if out.exists():
        raise ConfigError(f"{out} exists; choose a new folder, or remove it first.")
    if config.prior.weights is None:
        raise CheckpointError(
            f"{run} was trained without a prior (prior.source={config.prior.source}); expected one "
            "to sample with: name it with --prior."
        )
    with quiet_libraries():
        pipeline = _load_parts(run, config)
        for part in (pipeline.vae, pipeline.image_encoder, pipeline.prior, pipeline.denoiser):
            torch.nn.Module.to(part, dtype=dtype)  # diffusers' own `to` warns at every cast
        write_folder(out, lambda folder: _fill(folder, pipeline, run))
    return out


def _load_parts(run: Path, config: Config) -> JCDMPipeline:
    assert config.prior.weights is not None, "checked by the caller"
    return join_parts(
        config,
        vae=FrozenVAE.from_folder(config.encoders.vae),
        clip=FrozenCLIPVision.from_folder(config.encoders.image_encoder),
        prior=load_part(config.prior.weights, "prior", "prior.weights"),
        denoiser=load_part(run, "denoiser", "run"),
        scheduler=build_denoiser_scheduler(config.schedule),
    )


def _fill(folder: Path, pipeline: JCDMPipeline, run: Path) -> None:
    pipeline.save_pretrained(folder)
    if (run / RUN_MANIFEST).is_file():
        shutil.copy(run / RUN_MANIFEST, folder / PROVENANCE)
