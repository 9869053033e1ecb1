"""Tiny random models, and the files in which the published code would have left them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from jcdm.compat.convert_official import OfficialFiles, OfficialSettings
from jcdm.compat.official_keys_prior import prior_state_to_official
from jcdm.compat.official_keys_unet import official_from_denoiser
from jcdm.config import MotionConfig, ScheduleConfig
from jcdm.diffusion.schedule import (
    build_denoiser_scheduler,
    build_prior_scheduler,
    noise_level_config,
    published_sampling,
)
from jcdm.pipelines.multiview import JCDMPipeline
from tests.pipelines import pipeline_factory as factory

State = dict[str, Tensor]
SETTINGS = OfficialSettings(
    height=factory.HEIGHT,
    width=factory.WIDTH,
    motion=MotionConfig(num_heads=2, norm_num_groups=4),
)


def build_models(motion: bool = False) -> dict[str, Any]:
    """Build the four models that published files hold, with random weights everywhere."""
    settings = factory.MOTION if motion else None
    return {
        "vae": factory.build_vae(),
        "image_encoder": factory.build_clip(),
        "prior": factory.build_prior(
            visibility_embedding="clip_constant", num_view_heads=8, num_layers=2, max_views=5
        ),
        "denoiser": factory.build_denoiser(settings, jci_config={"kind": "linear"}),
    }


def build_pipeline(models: dict[str, Any]) -> JCDMPipeline:
    """Join the models as they are, without any file: what a conversion has to equal."""
    pipeline = JCDMPipeline(
        **models,
        scheduler=published_sampling(),
        prior_scheduler=build_prior_scheduler(),
        height=factory.HEIGHT,
        width=factory.WIDTH,
        layout="grid",
        noise_levels=noise_level_config(build_denoiser_scheduler(ScheduleConfig())),
        schedule="published",
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def paint(pipeline: JCDMPipeline) -> Tensor:
    """Sample one person in few steps: the target views, (N,3,H,W)."""
    pipeline.set_progress_bar_config(disable=True)
    views = pipeline(*factory.person(3), num_steps=3, prior_steps=3, seed=7, output_type="pt")
    return views.images


def save_zip(state: Any, path: Path) -> None:
    torch.save(state, path)


def save_old(state: Any, path: Path) -> None:
    torch.save(state, path, _use_new_zipfile_serialization=False)


def save_parallel(state: Any, path: Path) -> None:
    """Save as parallel training names weights."""
    torch.save({f"module.{name}": tensor for name, tensor in state.items()}, path)


def save_wrapped(state: Any, path: Path) -> None:
    """Save as Lightning and AnimateDiff do."""
    torch.save({"epoch": 3, "global_step": 9, "state_dict": state}, path)


def save_safe(state: Any, path: Path) -> None:
    save_file({name: tensor.contiguous().clone() for name, tensor in state.items()}, path)


def save_half(state: Any, path: Path) -> None:
    torch.save({name: tensor.half() for name, tensor in state.items()}, path)


def save_deepspeed(state: Any, path: Path) -> None:
    torch.save({"module": state, "epoch": 1, "last_global_step": 5, "ds_config": {"a": 1}}, path)


FORMATS: dict[str, tuple[Callable[[Any, Path], None], str]] = {
    "zip": (save_zip, ".pth"),
    "old": (save_old, ".ckpt"),
    "parallel": (save_parallel, ".pt"),
    "wrapped": (save_wrapped, ".ckpt"),
    "safetensors": (save_safe, ".safetensors"),
    "deepspeed": (save_deepspeed, ".pt"),
}


def official_states(models: dict[str, Any]) -> dict[str, State]:
    """Name all weights as published: apm, denoising_unet, pose_guider, linear [, motion]."""
    stage2 = official_from_denoiser(models["denoiser"].state_dict())
    plain = {k: v for k, v in stage2.unet.items() if "motion_modules" not in k}
    states = {
        "apm": prior_state_to_official(models["prior"].state_dict()),
        "denoising_unet": plain,
        "pose_guider": stage2.pose_guider,
        "linear": stage2.linear_emb,
    }
    return states if len(plain) == len(stage2.unet) else states | {"motion": stage2.unet}


def write_official(
    folder: Path, models: dict[str, Any], kind: str = "zip", **changed: State
) -> OfficialFiles:
    """Write the models as published files of one format; `changed` replaces state dicts."""
    folder.mkdir(parents=True, exist_ok=True)
    save, suffix = FORMATS[kind]
    paths = {}
    for name, state in (official_states(models) | changed).items():
        paths[name] = folder / f"{name}{suffix}"
        save(state, paths[name])
    write_sd15(folder / "sd15" / "unet", models["denoiser"].config["unet_config"])
    models["vae"].save_pretrained(folder / "vae")
    models["image_encoder"].save_pretrained(folder / "image_encoder")
    write_json(folder / "prior" / "config.json", prior_config(models["prior"]))
    return OfficialFiles(
        **paths,
        sd15=folder / "sd15",
        vae=folder / "vae",
        image_encoder=folder / "image_encoder",
        prior_config=folder / "prior",
    )


def write_sd15(folder: Path, unet_config: dict[str, Any]) -> None:
    """Write the U-Net's configuration as Stable Diffusion has it, with 4 input channels."""
    config = dict(unet_config) | {"in_channels": 4, "_class_name": "UNet2DConditionModel"}
    write_json(folder / "config.json", config)


def prior_config(prior: Any) -> dict[str, Any]:
    """Describe a prior as diffusers' PriorTransformer does."""
    return {
        "_class_name": "PriorTransformer",
        "num_attention_heads": prior.config["num_heads"],
        "attention_head_dim": prior.config["head_dim"],
        "num_layers": prior.config["num_layers"],
        "embedding_dim": prior.config["embed_dim"],
    }


def write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
