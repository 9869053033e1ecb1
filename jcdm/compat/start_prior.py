"""The appearance prior of training starts from the Kandinsky 2.2 prior, all blocks of it."""

import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from jcdm.compat.official_keys_prior import official_prior_keys, our_prior_key
from jcdm.compat.pieces import KeyMap, match
from jcdm.compat.start_report import StartReport, copy_pieces, count
from jcdm.compat.weight_files import (
    DIFFUSERS_STEMS,
    WeightFiles,
    open_folder,
    read_model_config,
)
from jcdm.errors import CheckpointError
from jcdm.models.apm import AppearancePriorTransformer

UNUSED = (  # of texts and of 81 tokens; statistics a dimension, where ours are scalars
    "encoder_hidden_states_proj.weight",
    "encoder_hidden_states_proj.bias",
    "positional_embedding",
    "clip_mean",
    "clip_std",
)
NOTE = (
    "Every pretrained block is in the layer of its number; the published code loads every second "
    "one and leaves as many of its own blocks random."
)
_BLOCK = re.compile(r"transformer_blocks\.(\d+)\.(.+)")
_LAYER = re.compile(r"layers\.(\d+)\.within\.(.+)")
_AROUND = re.compile(r"(timestep_in|noisy_in|pose_in|norm_out|appearance_out)\..+|query")


def start_prior(prior: AppearancePriorTransformer, source: Path) -> StartReport:
    """Copy Kandinsky's prior, of its diffusers folder or a weight file, into ours.

    Errors: CheckpointError for weights that are missing, unknown or of another size, and for
    another number of heads.
    """
    files = WeightFiles(source) if source.is_file() else _open_folder(prior, source)
    state = prior.state_dict()
    wanted = {k: t for k, t in state.items() if _LAYER.fullmatch(k) or _AROUND.fullmatch(k)}
    keys = KeyMap(rename=_our_name, official=_their_names, ignored=UNUSED.__contains__)
    copy_pieces(state, match(files, keys, wanted))
    fresh = {name: p for name, p in prior.named_parameters() if name not in wanted}
    return StartReport(
        part="prior",
        source=source,
        num_loaded=count(wanted.values()),
        fresh=_by_part(fresh),
        unused=tuple(name for name in UNUSED if name in files.layout),
        note=NOTE,
    )


def _open_folder(prior: AppearancePriorTransformer, source: Path) -> WeightFiles:
    folder, config = read_model_config(source, ("prior",))
    found, expected = config.get("num_attention_heads"), prior.config["num_heads"]
    if found != expected:
        raise CheckpointError(
            f"{folder}/config.json has num_attention_heads {found}, but prior.num_heads is "
            f"{expected}. Set the sizes under prior to those of the pretrained prior."
        )
    return open_folder(folder, DIFFUSERS_STEMS)


def _our_name(name: str) -> str | None:
    """Our name for one of Kandinsky's: block i is the attention within a view of layer i."""
    if found := _BLOCK.fullmatch(name):
        return f"layers.{found[1]}.within.{found[2]}"
    return our_prior_key(name)


def _their_names(name: str) -> tuple[str, ...]:
    if found := _LAYER.fullmatch(name):
        return (f"transformer_blocks.{found[1]}.{found[2]}",)
    return official_prior_keys(name)


def _by_part(fresh: Mapping[str, Tensor]) -> dict[str, int]:
    """Count fresh parameters by part."""
    totals: dict[str, int] = {}
    for name, tensor in fresh.items():
        part = "attention across views" if ".across." in name else name.split(".")[0]
        totals[part] = totals.get(part, 0) + tensor.numel()
    return totals
