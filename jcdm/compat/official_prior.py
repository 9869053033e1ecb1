"""The published appearance prior, planned as a component."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from jcdm.compat.checkpoint_files import read_beside
from jcdm.compat.components import DIFFUSERS_STEM, Component, described_by
from jcdm.compat.official_keys_prior import (
    OURS_NOT_IN_OFFICIAL,
    is_unused_prior_key,
    official_constants,
    official_prior_keys,
    our_prior_key,
    prior_config_from_official,
)
from jcdm.compat.pieces import KeyMap, Pieces, match
from jcdm.compat.position_tables import continue_table, is_usual_table
from jcdm.compat.weight_files import WeightFiles, read_model_config
from jcdm.errors import CheckpointError
from jcdm.models.apm import AppearancePriorTransformer

PRIOR_KEYS = KeyMap(rename=our_prior_key, official=official_prior_keys, ignored=is_unused_prior_key)
NUM_VIEW_HEADS = 8  # as published; not visible in the weights
MAX_VIEWS = 16


def prior_component(path: Path, prior_config: Path) -> Component:
    """Plan the prior from its file and the folder of the prior that it began from (head counts).

    Errors: CheckpointError for another model, or one of another size than the folder says.
    """
    folder, config = read_model_config(prior_config, ("prior",))
    files = WeightFiles(path)
    arguments = _architecture(files, folder, config)
    with described_by(folder / "config.json"):
        model = AppearancePriorTransformer(**arguments)
    expected = {k: t for k, t in model.state_dict().items() if k not in OURS_NOT_IN_OFFICIAL}
    pieces = match(files, PRIOR_KEYS, expected)
    constants = _ours(path, torch.zeros(expected["query"].shape))
    tables = _longer_tables(files, pieces)
    if tables:
        with torch.device("meta"):
            model = AppearancePriorTransformer(**arguments | {"max_views": MAX_VIEWS})
    return Component(
        name="prior",
        model=model,
        stem=DIFFUSERS_STEM,
        pieces={name: piece for name, piece in pieces.items() if name not in tables},
        config=folder / "config.json",
        constants=constants | tables,
        unused=tuple(name for name in files.layout if is_unused_prior_key(name)),
    )


def _ours(path: Path, query: Tensor) -> dict[str, Tensor]:
    """Weights without a published name: as our export wrote them, else as published code acts."""
    constants = official_constants(query)
    held = read_beside(path)
    if held and {k: t.shape for k, t in held.items()} != {k: t.shape for k, t in constants.items()}:
        raise CheckpointError(
            f"{path}: the weights beside the published ones are {', '.join(sorted(held))[:200]}; "
            f"expected {', '.join(sorted(constants))} of width {len(query)}. Export the pipeline "
            "again."
        )
    return constants | held


def _architecture(files: WeightFiles, folder: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    """Read our constructor's arguments off shapes and configuration, which must agree."""
    layout = {our: tensor for k, tensor in files.layout.items() if (our := our_prior_key(k))}
    for name in ("token_positions", "query", "pose_in.weight", "pose_encoder.0.weight"):
        if name not in layout:
            raise CheckpointError(
                f"{files} holds no {official_prior_keys(name)[0]}, first name: "
                f"{next(iter(files.layout))}. Expected the appearance prior of stage 1."
            )
    motion = config.get("motion_module_kwargs") or {}
    num_heads = config.get("num_attention_heads")
    if not isinstance(num_heads, int) or num_heads < 1:
        raise CheckpointError(
            f"{folder}/config.json has no num_attention_heads; expected the folder of a prior, as "
            "Kandinsky 2.2's prior/. Check the path."
        )
    _check_matrices(files, layout, num_heads)
    arguments = prior_config_from_official(
        layout,
        num_heads=num_heads,
        num_view_heads=motion.get("num_attention_heads", NUM_VIEW_HEADS),
    )
    _check_sizes(files, folder, config, arguments)
    return arguments


def _check_matrices(files: WeightFiles, layout: Mapping[str, Tensor], num_heads: int) -> None:
    """Raise a CheckpointError unless the weights that show the sizes are matrices."""
    for name in ("pose_in.weight", "pose_encoder.0.weight"):
        if layout[name].ndim != 2:
            raise CheckpointError(
                f"{files}: {official_prior_keys(name)[0]} has {layout[name].ndim} dimensions, "
                "expected 2. Check which file this is."
            )
    width = len(layout["pose_in.weight"])
    if width % num_heads:
        raise CheckpointError(
            f"{files}: the weights have width {width}, but the prior's config.json says "
            f"num_attention_heads {num_heads}, which does not divide it. Pass the configuration "
            "of the prior that they were trained from."
        )


def _check_sizes(
    files: WeightFiles, folder: Path, config: Mapping[str, Any], arguments: Mapping[str, Any]
) -> None:
    """Raise a CheckpointError unless the weights have the sizes that the configuration names."""
    pairs = {
        "num_layers": arguments["num_layers"],
        "attention_head_dim": arguments["head_dim"],
        "embedding_dim": arguments["embed_dim"],
    }
    for name, found in pairs.items():
        if config.get(name, found) != found:
            raise CheckpointError(
                f"{files}: the weights have {name} {found}, but {folder}/config.json says "
                f"{config[name]}. Pass the configuration of the prior that they were trained from."
            )


def _longer_tables(files: WeightFiles, pieces: Pieces) -> dict[str, Tensor]:
    """Continue stored position tables to MAX_VIEWS rows, where all are the usual computed ones.

    The published tables have 5 rows for 4 views. Empty where there is nothing to continue.
    """
    names = {ours: p.name for ours, p in pieces.items() if ours.endswith("positions.pe")}
    stored = files.read(names.values())
    if any(t.shape[1] >= MAX_VIEWS or not is_usual_table(t) for t in stored.values()):
        return {}
    return {ours: continue_table(stored[name], MAX_VIEWS) for ours, name in names.items()}
