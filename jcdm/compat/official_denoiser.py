"""The published denoiser, planned as a component: U-Net, pose guider, linear injection, motion."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from jcdm.compat.components import DIFFUSERS_STEM, Component, below, described_by
from jcdm.compat.official_motion import MotionFile, check_same_unet, match_motion, open_motion
from jcdm.compat.pieces import Pieces, match
from jcdm.compat.stable_diffusion import architecture_file, unet_architecture
from jcdm.compat.weight_files import WeightFiles
from jcdm.config import MotionConfig
from jcdm.errors import CheckpointError
from jcdm.grid import GridShape
from jcdm.models.denoiser import JCDMDenoiser
from jcdm.models.motion import ViewMotion
from jcdm.models.unet import input_channels

GRID = GridShape(rows=2, cols=2)  # as published


@dataclass(frozen=True, slots=True, kw_only=True)
class DenoiserFiles:
    """The files of stage 2; `motion` may be left out."""

    unet: Path
    pose_guider: Path
    linear: Path
    motion: Path | None = None


def denoiser_component(
    files: DenoiserFiles,
    sd15: Path,
    *,
    latent_channels: int,
    vae_factor: int,
    motion_config: MotionConfig,
) -> Component:
    """Plan the denoiser from its files, Stable Diffusion's architecture, and the VAE's numbers.

    motion_config: what the motion weights do not show: axis, head count, groups.
    """
    architecture = unet_architecture(sd15)
    parts = {
        "unet": WeightFiles(files.unet),
        "pose_guider": WeightFiles(files.pose_guider),
        "injector.projection": WeightFiles(files.linear),
    }
    motion = None if files.motion is None else open_motion(files.motion)
    settings = None if motion is None else _motion_settings(motion, motion_config)
    with described_by(architecture_file(sd15)):
        model = JCDMDenoiser(
            grid_rows=GRID.rows,
            grid_cols=GRID.cols,
            latent_channels=latent_channels,
            vae_factor=vae_factor,
            appearance_dim=_appearance_dim(parts["injector.projection"]),
            unet_config={
                **architecture,
                "in_channels": input_channels(latent_channels),
                "out_channels": latent_channels,
            },
            guider_channels=_guider_widths(parts["pose_guider"], vae_factor),
            jci_config={"kind": "linear"},
            motion_config=None if settings is None else asdict(settings),
        )
    expected = model.state_dict()
    pieces: Pieces = {}
    for name, part in parts.items():
        prefix = f"{name}."
        wanted = {k: t for k, t in expected.items() if k.startswith(prefix)}
        pieces |= match(part, below(prefix), wanted)
    component = Component(name="denoiser", model=model, stem=DIFFUSERS_STEM, pieces=pieces)
    if motion is None:
        return component
    check_same_unet(motion, parts["unet"])
    return _with_motion(component, motion, expected)


def _with_motion(
    component: Component, motion: MotionFile, expected: Mapping[str, Tensor]
) -> Component:
    """Add the motion weights; a middle block that the file lacks gets a fresh module."""
    prefix = "motion."
    wanted = {k.removeprefix(prefix): t for k, t in expected.items() if k.startswith(prefix)}
    pieces, absent = match_motion(motion, wanted)
    named = {f"{prefix}{name}": piece for name, piece in pieces.items()}
    constants: dict[str, Tensor] = {}
    notes: tuple[str, ...] = ()
    if absent:
        constants = {f"{prefix}{k}": t for k, t in fresh_middle(component.model).items()}
        notes = (
            f"{motion.files} has no motion module for the U-Net's middle block; a fresh one, which "
            "changes nothing until it is trained, stands there.",
        )
    return replace(component, pieces=component.pieces | named, constants=constants, notes=notes)


def fresh_middle(model: JCDMDenoiser) -> dict[str, Tensor]:
    """Weights of an untrained motion module for the middle block, always the same numbers."""
    config = MotionConfig(**model.config["motion_config"])
    channels = model.unet.mid_block.resnets[0].out_channels
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = ViewMotion(
            channels,
            GRID,
            num_heads=config.num_heads,
            norm_num_groups=config.norm_num_groups,
            max_positions=config.max_positions,
            width_divisor=config.width_divisor,
        )
    return {f"mid_block.{name}": tensor for name, tensor in module.state_dict().items()}


def _motion_settings(motion: MotionFile, config: MotionConfig) -> MotionConfig:
    """Complete what the caller knows of motion by what the weights show."""
    return replace(config, max_positions=motion.max_positions, width_divisor=motion.width_divisor)


def _appearance_dim(files: WeightFiles) -> int:
    weight = files.layout.get("weight")
    if weight is None or weight.ndim != 2:
        raise CheckpointError(
            f"{files} holds no matrix named 'weight', first name: {next(iter(files.layout))}. "
            "Expected linear_emb, one linear layer from CLIP's width to the U-Net's."
        )
    return weight.shape[1]


def _guider_widths(files: WeightFiles, vae_factor: int) -> list[int]:
    """Read the widths of the pose guider, one and one more a halving, off its weights."""
    names = ["conv_in.weight"]
    names += [f"blocks.{2 * i + 1}.weight" for i in range(vae_factor.bit_length() - 1)]
    if missing := [name for name in names if name not in files.layout]:
        raise CheckpointError(
            f"{files} holds no {missing[0]}, first name: {next(iter(files.layout))}. Expected "
            f"the pose guider of a VAE with factor {vae_factor}."
        )
    return [files.layout[name].shape[0] for name in names]
