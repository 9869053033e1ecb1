"""Stable Diffusion 1.x as it is published: a diffusers folder, or one file of the original code."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint
from torch import Tensor

from jcdm.compat.weight_files import (
    DIFFUSERS_STEMS,
    WeightFiles,
    open_folder,
    read_model_config,
)
from jcdm.errors import CheckpointError

UNET_PREFIX = "model.diffusion_model."
NUM_HEADS, NORM_NUM_GROUPS = 8, 32  # of Stable Diffusion 1.x; not visible in the weights


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainedUNet:
    """A pretrained U-Net: `config` holds arguments of diffusers' class, `names` maps its names.

    names: the class's own weight names -> the names in the files.
    """

    config: dict[str, Any]
    files: WeightFiles
    names: Mapping[str, str]


def open_unet(source: Path) -> PretrainedUNet:
    """Open the U-Net of a folder (its own, or a pipeline's) or of a single file.

    Errors: CheckpointError where there is none, or not one of Stable Diffusion 1.x.
    """
    if source.is_dir():
        files = open_folder(read_model_config(source, ("unet",))[0], DIFFUSERS_STEMS)
        names = {name: name for name in files.layout}
        return PretrainedUNet(config=unet_architecture(source), files=files, names=names)
    return _open_single(WeightFiles(source))


def architecture_file(source: Path) -> Path:
    """Return the file that `unet_architecture` reads."""
    return read_model_config(source, ("unet",))[0] / "config.json" if source.is_dir() else source


def unet_architecture(source: Path) -> dict[str, Any]:
    """Read the U-Net's architecture alone: arguments of diffusers' `UNet2DConditionModel`."""
    if not source.is_dir():
        return _open_single(WeightFiles(source)).config
    folder, config = read_model_config(source, ("unet",))
    if "cross_attention_dim" not in config or "block_out_channels" not in config:
        raise CheckpointError(
            f"{folder}/config.json describes {config.get('_class_name', 'another model')}, "
            "expected UNet2DConditionModel. Pass the folder of Stable Diffusion 1.5 or its unet/."
        )
    return {key: value for key, value in config.items() if not key.startswith("_")}


def _open_single(files: WeightFiles) -> PretrainedUNet:
    layout = {
        name.removeprefix(UNET_PREFIX): tensor
        for name, tensor in files.layout.items()
        if name.startswith(UNET_PREFIX)
    }
    try:
        config = _architecture_of_layout(layout)
        marked = {UNET_PREFIX + name: UNET_PREFIX + name for name in layout}  # names for numbers
        names = convert_ldm_unet_checkpoint(marked, config)
    except (KeyError, IndexError, ValueError) as error:
        raise CheckpointError(
            f"{files} holds no U-Net of Stable Diffusion 1.x: {error} not found. Expected a "
            f"single-file checkpoint with names such as {UNET_PREFIX}input_blocks.0.0.weight."
        ) from None
    return PretrainedUNet(config=config, files=files, names=names)


def _architecture_of_layout(layout: Mapping[str, Tensor]) -> dict[str, Any]:
    """Read depth and widths off the original code's names and shapes."""
    downs = sorted(int(name.split(".")[1]) for name in layout if name.endswith(".0.op.weight"))
    num_levels = len(downs) + 1
    num_inputs = len({name.split(".")[1] for name in layout if name.startswith("input_blocks.")})
    layers = num_inputs // num_levels - 1
    firsts = [1, *(down + 1 for down in downs)]
    attends = [f"input_blocks.{first}.1.proj_in.weight" in layout for first in firsts]
    cross = "attn2.to_k.weight"
    key = next((name for name in layout if name.endswith(cross)), cross)
    if layout["middle_block.1.proj_in.weight"].ndim != 4:
        raise ValueError("the 1x1 convolutions of attention")  # Stable Diffusion 2 has linear ones
    return {
        "in_channels": layout["input_blocks.0.0.weight"].shape[1],
        "out_channels": layout["out.2.weight"].shape[0],
        "down_block_types": _kinds(attends, "CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": _kinds(attends[::-1], "CrossAttnUpBlock2D", "UpBlock2D"),
        "block_out_channels": [
            layout[f"input_blocks.{first}.0.out_layers.3.weight"].shape[0] for first in firsts
        ],
        "layers_per_block": layers,
        "cross_attention_dim": layout[key].shape[1],
        "attention_head_dim": NUM_HEADS,
        "norm_num_groups": NORM_NUM_GROUPS,
    }


def _kinds(attends: Iterable[bool], attending: str, plain: str) -> list[str]:
    return [attending if attention else plain for attention in attends]
