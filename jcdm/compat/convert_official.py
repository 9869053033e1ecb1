"""Published weight files -> one folder for `JCDMPipeline.from_pretrained`, or for its parts.

Everything is checked before the first byte is written, and one output file at a time is in memory.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from safetensors.torch import save_file
from torch import Tensor

from jcdm.compat.components import Component, image_encoder_component, vae_component
from jcdm.compat.official_denoiser import DenoiserFiles, denoiser_component
from jcdm.compat.official_prior import prior_component
from jcdm.compat.provenance import compare_with_sums, describe_sources, write_provenance
from jcdm.compat.stable_diffusion import architecture_file
from jcdm.compat.weight_files import WeightFiles
from jcdm.config import MotionConfig, ScheduleConfig
from jcdm.diffusion.schedule import (
    Scheduler,
    build_denoiser_scheduler,
    build_prior_scheduler,
    noise_level_config,
    published_sampling,
)
from jcdm.errors import CheckpointError, ConfigError
from jcdm.folders import write_folder
from jcdm.pipelines.multiview import JCDMPipeline

logger = logging.getLogger(__name__)

UNUSED = "published_unused.safetensors"  # kept, so that an export gives back every published key
VIEW_SIZE = 768  # pixels of a view, as published


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficialFiles:
    """The published files. Folders may be those of whole pipelines; `motion` may be left out."""

    apm: Path
    denoising_unet: Path
    pose_guider: Path
    linear: Path
    sd15: Path
    vae: Path
    image_encoder: Path
    prior_config: Path
    motion: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficialSettings:
    """What the files do not say: which schedule samples, pixels of a view, what motion mixes."""

    schedule: Literal["published", "trained"] = "published"
    height: int = VIEW_SIZE
    width: int = VIEW_SIZE
    motion: MotionConfig = field(default_factory=MotionConfig)


def convert_official(
    files: OfficialFiles,
    out: Path,
    settings: OfficialSettings | None = None,
    *,
    sums: Path | None = None,
) -> Path:
    """Write the published files as the pipeline folder `out`, which must not exist.

    sums: a list as `sha256sum` writes it, to compare the files with. Errors: CheckpointError
    naming file and weights, ConfigError; nothing is left behind.
    """
    if out.exists():
        raise ConfigError(f"{out} exists; choose a new folder, or remove it first.")
    settings = settings or OfficialSettings()
    components = plan_components(files, settings)
    sources = describe_sources(_roles(files, components))
    if sums is not None:
        compare_with_sums(sources, sums)
    write_folder(out, lambda folder: _fill(folder, components, settings, sources))
    return out


def plan_components(files: OfficialFiles, settings: OfficialSettings) -> dict[str, Component]:
    """Check all files and plan the pipeline's components; the smallest files come first."""
    vae = vae_component(files.vae)
    denoiser = denoiser_component(
        DenoiserFiles(
            unet=files.denoising_unet,
            pose_guider=files.pose_guider,
            linear=files.linear,
            motion=files.motion,
        ),
        files.sd15,
        latent_channels=vae.model.config.latent_channels,
        vae_factor=2 ** (len(vae.model.config.block_out_channels) - 1),
        motion_config=settings.motion,
    )
    encoder = image_encoder_component(files.image_encoder)
    prior = prior_component(files.apm, files.prior_config)
    widths = {
        "linear_emb": (files.linear, denoiser.model.config.appearance_dim),
        "prior": (files.apm, prior.model.config.embed_dim),
    }
    for name, (path, width) in widths.items():
        if width != encoder.model.config.projection_dim:
            raise CheckpointError(
                f"{path}: {name} takes embeddings of width {width}, but {files.image_encoder} "
                f"makes {encoder.model.config.projection_dim}. Pass files that belong together."
            )
    return {c.name: c for c in (vae, encoder, prior, denoiser)}


def _fill(
    folder: Path,
    components: Mapping[str, Component],
    settings: OfficialSettings,
    sources: list[dict[str, Any]],
) -> None:
    pipeline = _pipeline(components, settings)
    pipeline.save_config(folder)
    pipeline.scheduler.save_pretrained(folder / "scheduler")
    pipeline.prior_scheduler.save_pretrained(folder / "prior_scheduler")
    for component in components.values():
        component.write(folder)
        logger.info("%s: %d weights", component.name, len(component.pieces))
    if unused := _unused_weights(components):
        save_file(unused, folder / UNUSED)
    facts = {
        "schedule": settings.schedule,
        "view": f"{settings.height} x {settings.width} pixels",
        "layout": "grid",
        "jci": "linear",
        "motion": _motion_text(components["denoiser"].model.config.motion_config),
    }
    notes = [note for component in components.values() for note in component.notes]
    write_provenance(folder, sources, facts, notes)


def _motion_text(config: Mapping[str, Any] | None) -> str:
    if config is None:
        return "none"
    return (
        f"across {config['axis']}, {config['num_heads']} heads, "
        f"{config['norm_num_groups']} groups, up to {config['max_positions']} positions"
    )


def _pipeline(components: Mapping[str, Component], settings: OfficialSettings) -> JCDMPipeline:
    """Build the pipeline without weights, to write what stands beside them."""
    trained: Scheduler = build_denoiser_scheduler(ScheduleConfig())
    sampling: Scheduler = published_sampling() if settings.schedule == "published" else trained
    return JCDMPipeline(
        **{name: component.model for name, component in components.items()},
        scheduler=sampling,
        prior_scheduler=build_prior_scheduler(),  # type: ignore[arg-type]
        height=settings.height,
        width=settings.width,
        layout="grid",
        noise_levels=noise_level_config(trained),
        schedule=settings.schedule,
    )


def _unused_weights(components: Mapping[str, Component]) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for component in components.values():
        if component.unused:
            files: WeightFiles = next(iter(component.pieces.values())).files
            found |= {k: t.clone() for k, t in files.read(component.unused).items()}
    return found


def _roles(files: OfficialFiles, components: Mapping[str, Component]) -> dict[str, list[Path]]:
    """Say which files were read for what."""
    roles = {
        "apm": components["prior"].files,
        "vae": components["vae"].files,
        "image_encoder": components["image_encoder"].files,
        "denoising_unet": [files.denoising_unet],
        "pose_guider": [files.pose_guider],
        "linear": [files.linear],
        "sd15": [architecture_file(files.sd15)],
    }
    return roles if files.motion is None else roles | {"motion": [files.motion]}
