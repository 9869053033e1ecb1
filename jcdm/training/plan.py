"""The dry run: sizes of all that a run would build, without weights, data or a GPU."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from jcdm.config import Config
from jcdm.errors import ConfigError
from jcdm.models.loading import check_config
from jcdm.patches import require_patches
from jcdm.plain import to_yaml
from jcdm.training.footprint import parameter_bytes
from jcdm.training.plan_objects import Sizes, planned_denoiser, prior_objects, stage2_objects
from jcdm.training.stages.base import count, readable
from jcdm.training.stages.build import KINDS, frozen_dtype, prior_from_config
from jcdm.training.step_memory import Parts, StepMemory, count_step

GIB = 1024**3

STABLE_DIFFUSION_VAE: dict[str, Any] = {
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "block_out_channels": (128, 256, 512, 512),
    "layers_per_block": 2,
    "latent_channels": 4,
}
CLIP_BIGG: dict[str, Any] = {
    "hidden_size": 1664,
    "intermediate_size": 8192,
    "num_hidden_layers": 48,
    "num_attention_heads": 16,
    "patch_size": 14,
    "image_size": 224,
    "projection_dim": 1280,
}


def describe_plan(kind: str, config: Config) -> str:
    """Describe a run in full size: parts, shapes of all objects, memory a process needs.

    Sizes of encoders whose folders are missing are assumed to be the published ones.
    """
    if kind not in KINDS:
        raise ConfigError(f"unknown stage {kind!r}; expected one of {', '.join(KINDS)}.")
    with torch.device("meta"):
        parts = meta_parts(kind, config)
        make = prior_objects if kind == "prior" else stage2_objects
        objects, _ = make(parts.module, config, parts.sizes)
    memory = count_step(kind, config, parts)
    sections = (
        ["configuration", *to_yaml(config).splitlines()],
        [f"stage: {kind}", *parts.notes, *_part_lines(parts)],
        ["objects (B people a micro-batch, V views)", *_object_lines(objects)],
        ["memory a process", *_memory_lines(parts, memory, config)],
    )
    return "\n\n".join("\n  ".join(lines) for lines in sections) + "\n"


def meta_parts(kind: str, config: Config) -> Parts:
    """Build all models of a run; call it under `torch.device("meta")`. Errors: ConfigError."""
    vae, vae_note = _vae(config.encoders.vae)
    clip, clip_note = _clip(config.encoders.image_encoder)
    sizes = Sizes(
        latent_channels=vae.config["latent_channels"],
        factor=2 ** (len(vae.config["block_out_channels"]) - 1),
        clip_size=clip.config.image_size,
        width=clip.config.projection_dim,
        patch_dim=clip.config.hidden_size,
    )
    prior = prior_from_config(config, appearance_dim=sizes.width)
    dtype = frozen_dtype(config)
    for module in (vae, clip):
        nn.Module.to(module, dtype=dtype)
    if kind == "prior":
        return Parts(module=prior, frozen={"image encoder": clip}, sizes=sizes, notes=(clip_note,))
    config.validate(vae_factor=sizes.factor)
    require_patches(config.jci.patch_grid, sizes.clip_size // clip.config.patch_size)
    denoiser = planned_denoiser(kind, config, sizes)
    frozen: dict[str, nn.Module] = {"VAE": vae, "image encoder": clip}
    if config.prior.source == "apm":
        frozen["prior"] = nn.Module.to(prior, dtype=dtype)
    return Parts(module=denoiser, frozen=frozen, sizes=sizes, notes=(vae_note, clip_note))


def _vae(folder: Path) -> tuple[Any, str]:
    if not (folder / "config.json").is_file():
        return AutoencoderKL(**STABLE_DIFFUSION_VAE), (
            f"encoders.vae: no config.json in {folder}; sizes of Stable Diffusion's VAE assumed"
        )
    check_config(folder)
    options = AutoencoderKL.load_config(str(folder), local_files_only=True)
    return AutoencoderKL.from_config(options), f"encoders.vae: sizes of {folder}"


def _clip(folder: Path) -> tuple[Any, str]:
    if not (folder / "config.json").is_file():
        note = f"encoders.image_encoder: no config.json in {folder}; sizes of ViT-bigG/14 assumed"
        return CLIPVisionModelWithProjection(CLIPVisionConfig(**CLIP_BIGG)), note
    check_config(folder)
    options = CLIPVisionConfig.from_pretrained(str(folder), local_files_only=True)
    return CLIPVisionModelWithProjection(options), f"encoders.image_encoder: sizes of {folder}"


def _part_lines(parts: Parts) -> Iterator[str]:
    for name, child in parts.module.named_children():
        total = sum(p.numel() for p in child.parameters())
        if total > 0:
            learns = any(p.requires_grad for p in child.parameters())
            yield f"{'trains' if learns else 'frozen'}  {name:20} {readable(total):>8}"
    yield f"trains  in all               {count(parts.module, only_trainable=True):>8}"
    for name, module in parts.frozen.items():
        yield f"frozen  {name:20} {count(module):>8}"


def _object_lines(objects: dict[str, Any]) -> Iterator[str]:
    for name, value in objects.items():
        if isinstance(value, str):
            yield f"{name}: {value}"
            continue
        assert is_dataclass(value) and not isinstance(value, type), value
        yield f"{name}:"
        for field in fields(value):
            content = getattr(value, field.name)
            if isinstance(content, Tensor):
                kind = str(content.dtype).removeprefix("torch.")
                yield f"  {field.name:22} {tuple(content.shape)!s:26} {kind}"


def _memory_lines(parts: Parts, memory: StepMemory, config: Config) -> Iterator[str]:
    learns = parameter_bytes(parts.module, only_trainable=True)
    frozen = sum(parameter_bytes(module) for module in parts.frozen.values())
    figures = {
        "weights of the stage's module, float32": parameter_bytes(parts.module),
        "gradients": learns,
        "Adam moments": 2 * learns,
        "averages (EMA)": learns,
        f"frozen parts, {str(frozen_dtype(config)).removeprefix('torch.')}": frozen,
        "activations, roughly": memory.activations,
    }
    figures["in all"] = sum(figures.values())
    figures["most at once, counted by operation"] = memory.peak
    for name, number in figures.items():
        yield f"{name:40} {number / GIB:8.2f} GiB"
    yield "not in it: the process and its libraries (0.5 GiB of main memory), a GPU's workspaces,"
    yield f"and with several processes {learns / GIB:.2f} GiB for sending gradients"
