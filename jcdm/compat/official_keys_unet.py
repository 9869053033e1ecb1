"""Key names of the published stage-2 weights: U-Net (2-D, 3-D), pose guider, linear_emb.

Pure renaming, both ways. The U-Net's and the pose guider's names are already ours; the motion
modules, which the published 3-D U-Net holds among its blocks, are kept beside the U-Net by us.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from jcdm.errors import CheckpointError

State = dict[str, Tensor]

_OFFICIAL_BLOCK = re.compile(
    r"(down_blocks|up_blocks)\.(\d+)\.motion_modules\.(\d+)\.temporal_transformer\.(.+)"
)
_OFFICIAL_MIDDLE = re.compile(r"mid_block\.motion_modules\.0\.temporal_transformer\.(.+)")
_OUR_BLOCK = re.compile(r"(down_blocks|up_blocks)\.(\d+)\.(\d+)\.(.+)")
_OUR_MIDDLE = re.compile(r"mid_block\.(.+)")
_TABLE = re.compile(r"transformer_blocks\.0\.attention_blocks\.(\d+)\.pos_encoder\.pe")


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficialStage2:
    """The published files of stage 2: U-Net (with motion or without), pose guider, linear_emb."""

    unet: State
    pose_guider: State
    linear_emb: State


def _our_tail(tail: str) -> str:
    """Rename what stands behind `temporal_transformer.`."""
    if _TABLE.fullmatch(tail):
        return "block.positions.pe"
    tail = tail.replace("transformer_blocks.0.attention_blocks.", "block.attentions.")
    return tail.replace("transformer_blocks.0.", "block.")


def our_motion_key(key: str) -> str | None:
    """Name a published U-Net key as ours below `motion.`, or None where it is no motion key."""
    if match := _OFFICIAL_BLOCK.fullmatch(key):
        side, block, place, tail = match.groups()
        return f"{side}.{block}.{place}.{_our_tail(tail)}"
    if match := _OFFICIAL_MIDDLE.fullmatch(key):
        return f"mid_block.{_our_tail(match[1])}"
    return None


def official_motion_keys(key: str) -> tuple[str, ...]:
    """Name one of our motion keys as published; the position table there has two copies."""
    if match := _OUR_BLOCK.fullmatch(key):
        side, block, place, tail = match.groups()
        prefix = f"{side}.{block}.motion_modules.{place}.temporal_transformer."
    elif match := _OUR_MIDDLE.fullmatch(key):
        prefix, tail = "mid_block.motion_modules.0.temporal_transformer.", match[1]
    else:
        raise CheckpointError(f"{key!r} is no key of our motion modules; expected a block's name.")
    inner = f"{prefix}transformer_blocks.0."
    if tail == "block.positions.pe":
        return tuple(f"{inner}attention_blocks.{i}.pos_encoder.pe" for i in range(2))
    if tail.startswith("block.attentions."):
        return (f"{inner}attention_blocks.{tail.removeprefix('block.attentions.')}",)
    if tail.startswith("block."):
        return (inner + tail.removeprefix("block."),)
    return (prefix + tail,)


def split_official_unet(state: Mapping[str, Tensor]) -> tuple[State, State]:
    """Separate a published U-Net into (U-Net, motion modules), both under our names.

    The second is empty for the 2-D U-Net. Raises CheckpointError where two published position
    tables of one module differ, since we keep one.
    """
    unet: State = {}
    motion: State = {}
    for key, value in state.items():
        name = our_motion_key(key)
        if name is None:
            unet[key] = value
        elif name in motion and not torch.equal(motion[name], value):
            raise CheckpointError(
                f"{key} differs from the other position table of its module; expected equal "
                "tables. Check that the file is complete."
            )
        else:
            motion[name] = value
    return unet, motion


def join_official_unet(unet: Mapping[str, Tensor], motion: Mapping[str, Tensor]) -> State:
    """Put our U-Net and motion modules back under the published U-Net's names."""
    renamed = {name: v for key, v in motion.items() for name in official_motion_keys(key)}
    return {**unet, **renamed}


def denoiser_from_official(official: OfficialStage2) -> State:
    """Assemble the state dict of a `JCDMDenoiser` with `jci.kind: linear` from published files."""
    unet, motion = split_official_unet(official.unet)
    parts = {
        "unet": unet,
        "pose_guider": official.pose_guider,
        "injector.projection": official.linear_emb,
        "motion": motion,
    }
    return {f"{part}.{key}": value for part, keys in parts.items() for key, value in keys.items()}


def official_from_denoiser(state: Mapping[str, Tensor]) -> OfficialStage2:
    """Take a `JCDMDenoiser` with `jci.kind: linear` apart into the published files."""
    return OfficialStage2(
        unet=join_official_unet(_below(state, "unet."), _below(state, "motion.")),
        pose_guider=_below(state, "pose_guider."),
        linear_emb=_below(state, "injector.projection."),
    )


def _below(state: Mapping[str, Tensor], prefix: str) -> State:
    """Pick the keys that begin with a prefix, and take it off."""
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
