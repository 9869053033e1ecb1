"""Options that say how pictures are painted, shared by every command that paints own pictures."""

from argparse import Namespace
from typing import Any, get_type_hints

from jsonargparse import ArgumentParser

from jcdm.config import SampleConfig

_HELP = {
    "preset": "named settings (docs/sampling.md); what suits the weights, and options, win over it",
    "num_steps": "steps of the sampler",
    "guidance_scale": "1 = none, and half the cost",
    "guidance_start": "share of the way from noise to picture where guidance begins",
    "guidance_end": "share of the way where it ends",
    "guidance_kept": "share of the way for which a direction of guidance is kept",
    "vae_tile": "side in pixels of the tiles that the VAE works in",
    "compile": "compile the U-Net's blocks by torch.compile",
    "mixed_precision": "what the U-Net's products are computed in; fp16 on a GPU alone",
}


def add_sampling_options(parser: ArgumentParser) -> None:
    """Add --preset, --sampler, and the settings that win over a preset; None = not given."""
    types = get_type_hints(SampleConfig)
    for name, text in _HELP.items():
        parser.add_argument(f"--{name}", type=types[name], default=None, help=text)
    sampler = types["scheduler"]
    parser.add_argument("--sampler", type=sampler, default=None, help="default: the preset's")
    parser.add_argument("--prior_steps", type=int | None, default=None, help="steps of the prior")


def take_settings(options: Namespace) -> dict[str, Any]:
    """Return the settings that were given, without the preset: fields of `SamplingOptions`."""
    names = [*_HELP, "sampler", "prior_steps"]
    given = {name: getattr(options, name) for name in names if name != "preset"}
    return {name: value for name, value in given.items() if value is not None}
