"""The U-Net of training starts from Stable Diffusion 1.x, with inputs that it did not have."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from jcdm.compat.pieces import KeyMap, match
from jcdm.compat.stable_diffusion import PretrainedUNet, open_unet
from jcdm.compat.start_report import StartReport, copy_pieces, count
from jcdm.errors import CheckpointError
from jcdm.models.denoiser import JCDMDenoiser

STEM = "conv_in.weight"
SETTINGS = {"attention_head_dim": "unet.num_heads", "norm_num_groups": "unet.norm_num_groups"}


def start_unet(denoiser: JCDMDenoiser, source: Path) -> StartReport:
    """Copy a pretrained U-Net, of a diffusers folder or a single file, into a denoiser.

    Inputs which it lacks (visibility, reference latents) get zero weights, so that its output is
    kept until training moves them. Errors: CheckpointError for weights that are missing, unknown
    or of another size, and for another number of heads or groups.
    """
    pretrained = open_unet(source)
    _check_settings(pretrained, denoiser.unet.config, source)
    state = denoiser.unet.state_dict()
    inputs = _count_inputs(pretrained, denoiser, source)
    known, new = state[STEM][:, :inputs], state[STEM][:, inputs:]
    ours = {stored: name for name, stored in pretrained.names.items()}
    keys = KeyMap(
        rename=ours.get,
        official=lambda name: (pretrained.names.get(name, name),),
        ignored=lambda stored: stored not in ours,
    )
    wanted = state | {STEM: known}
    copy_pieces(wanted, match(pretrained.files, keys, wanted))
    nn.init.zeros_(new)
    return StartReport(
        part="U-Net",
        source=source,
        num_loaded=count(wanted.values()),
        fresh={"new input channels, at zero": new.numel()} if new.numel() else {},
    )


def _count_inputs(pretrained: PretrainedUNet, denoiser: JCDMDenoiser, source: Path) -> int:
    """Count the pretrained input channels: those of latents alone, or all of ours."""
    found = pretrained.config.get("in_channels")
    latents, all_inputs = denoiser.config["latent_channels"], denoiser.unet.config["in_channels"]
    if found not in (latents, all_inputs):
        raise CheckpointError(
            f"{source}: the U-Net reads {found} channels, expected {latents} or {all_inputs}. "
            "Choose a U-Net and a VAE that belong together."
        )
    return int(found)


def _check_settings(pretrained: PretrainedUNet, ours: Mapping[str, Any], source: Path) -> None:
    """Raise a CheckpointError for differences that no weight's shape shows."""
    for name, key in SETTINGS.items():
        found = pretrained.config.get(name, ours[name])
        if found != ours[name]:
            raise CheckpointError(
                f"{source} has {name} {found}, but {key} is {ours[name]}. Set the sizes under unet "
                "to those of the pretrained U-Net."
            )
