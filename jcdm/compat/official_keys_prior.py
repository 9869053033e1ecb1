"""Names of the published appearance prior's weights <-> ours. Only names change, never numbers.

The published model interleaves: even `transformer_blocks` attend within a view, odd ones across
views (absent, but still counted, without motion). It stores the position table twice a block.
"""

import re

import torch
from torch import Tensor

from jcdm.errors import CheckpointError

PUBLISHED_CLIP_MEAN, PUBLISHED_CLIP_STD = -0.016, 0.415
OURS_NOT_IN_OFFICIAL = ("null_pose", "null_reference", "clip_mean", "clip_std")
UNUSED_IN_OFFICIAL = ("temporal_transformer.norm.weight", "temporal_transformer.norm.bias")

_TOKENS = {"positional_embedding": "token_positions", "prd_embedding": "query"}
_TOP = _TOKENS | {
    "pose_mlp.net.0": "pose_encoder.0",
    "pose_mlp.net.3": "pose_encoder.2",
    "pose_mlp.net.4": "pose_encoder.3",
    "pose_mlp.net.6": "pose_encoder.4",
    "embedding_proj": "pose_in",
    "embedding_proj1": "reference_in",
    "embedding_proj2": "visibility_in",
    "proj_in": "noisy_in",
    "time_embedding.linear_1": "timestep_in.linear_1",
    "time_embedding.linear_2": "timestep_in.linear_2",
    "norm_out": "norm_out",
    "proj_to_clip_embeddings": "appearance_out",
}
_ACROSS = {
    "prior_norm": "norm",
    "proj_in": "proj_in",
    "proj_out": "proj_out",
    "transformer_blocks.0.norms": "block.norms",
    "transformer_blocks.0.attention_blocks": "block.attentions",
    "transformer_blocks.0.ff_norm": "block.ff_norm",
    "transformer_blocks.0.ff": "block.ff",
}
_TABLE = re.compile(r"^transformer_blocks\.0\.attention_blocks\.\d+\.pos_encoder\.pe$")
_BLOCK = re.compile(r"^transformer_blocks\.(\d+)\.(.+)$")
_LAYER = re.compile(r"^layers\.(\d+)\.(within|across)\.(.+)$")


def _rename(key: str, table: dict[str, str]) -> str | None:
    """Replace the longest prefix of `key` that `table` knows; None where it knows none."""
    for old in sorted(table, key=len, reverse=True):
        if key == old or key.startswith(f"{old}."):
            return table[old] + key[len(old) :]
    return None


def our_prior_key(key: str) -> str | None:
    """Our name for one published name; None for a name that no published prior has."""
    if not (found := _BLOCK.match(key)):
        return _rename(key, _TOP)
    number, rest = int(found[1]), found[2]
    layer = f"layers.{number // 2}"
    if number % 2 == 0:
        return f"{layer}.within.{rest}"
    inner = rest.removeprefix("temporal_transformer.")
    if _TABLE.match(inner):
        return f"{layer}.across.block.positions.pe"
    name = _rename(inner, _ACROSS)
    return None if name is None else f"{layer}.across.{name}"


def official_prior_keys(key: str) -> tuple[str, ...]:
    """Published names of one of ours: two for a position table, none for OURS_NOT_IN_OFFICIAL.

    Raises CheckpointError for a name that our prior does not have.
    """
    if key in OURS_NOT_IN_OFFICIAL:
        return ()
    if not (found := _LAYER.match(key)):
        if (name := _rename(key, {ours: theirs for theirs, ours in _TOP.items()})) is None:
            raise CheckpointError(
                f"found the weight {key!r}, which our prior does not have; expected its state dict."
            )
        return (name,)
    number, part, rest = int(found[1]), found[2], found[3]
    if part == "within":
        return (f"transformer_blocks.{2 * number}.{rest}",)
    prefix = f"transformer_blocks.{2 * number + 1}.temporal_transformer"
    if rest == "block.positions.pe":
        inner = f"{prefix}.transformer_blocks.0.attention_blocks"
        return tuple(f"{inner}.{index}.pos_encoder.pe" for index in (0, 1))
    name = _rename(rest, {ours: theirs for theirs, ours in _ACROSS.items()})
    return (f"{prefix}.{name}",)


def is_unused_prior_key(key: str) -> bool:
    """Tell the norms that the published model stores and never applies."""
    return key.endswith(UNUSED_IN_OFFICIAL)


def prior_state_from_official(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename a published prior state dict to ours; complete for a strict load.

    A 'module.' prefix is dropped, `temporal_transformer.norm.*` (stored, never used) is left out,
    and OURS_NOT_IN_OFFICIAL is added: zero null tokens and the published CLIP statistics.
    Raises CheckpointError for a name that belongs to no published prior.
    """
    named = {key.removeprefix("module."): value for key, value in state.items()}
    if missing := _TOKENS.keys() - named.keys():
        raise CheckpointError(
            f"found no {sorted(missing)} among {len(named)} weights; expected the state dict of a "
            "published appearance prior. Pass the file of stage 1."
        )
    ours: dict[str, Tensor] = {}
    for key, value in named.items():
        if is_unused_prior_key(key):
            continue
        if (name := our_prior_key(key)) is None:
            raise CheckpointError(
                f"found the weight {key!r}, which no published appearance prior has; expected "
                "stage 1 weights. Pass the file of stage 1."
            )
        if name in ours and not torch.equal(ours[name], value):
            raise CheckpointError(
                f"found two different position tables at {key!r}; expected equal ones. "
                "These weights are not those of the published prior."
            )
        ours[name] = value
    ours["token_positions"] = ours["token_positions"][0]
    ours["query"] = ours["query"][0, 0]
    return ours | official_constants(ours["query"])


def official_constants(query: Tensor) -> dict[str, Tensor]:
    """What ours has and the published weights lack: OURS_NOT_IN_OFFICIAL."""
    return {
        "null_pose": torch.zeros_like(query),
        "null_reference": torch.zeros_like(query),
        "clip_mean": torch.tensor(PUBLISHED_CLIP_MEAN),
        "clip_std": torch.tensor(PUBLISHED_CLIP_STD),
    }


def prior_config_from_official(
    state: dict[str, Tensor], *, num_heads: int, num_view_heads: int = 8
) -> dict[str, object]:
    """Read the constructor arguments of our prior off our names (`prior_state_from_official`).

    Head counts are not visible in the shapes (published: 32 and 8).
    """
    width, embed_dim = state["pose_in.weight"].shape
    pose_hidden_dim, num_numbers = state["pose_encoder.0.weight"].shape
    tables = [value for key, value in state.items() if key.endswith("positions.pe")]
    layers = {found[1] for key in state if (found := _LAYER.match(key))}
    return {
        "embed_dim": embed_dim,
        "num_layers": len(layers),
        "num_heads": num_heads,
        "head_dim": width // num_heads,
        "pose_hidden_dim": pose_hidden_dim,
        "num_keypoints": num_numbers // 2,
        "attend_across_views": bool(tables),
        "num_view_heads": num_view_heads,
        "max_views": tables[0].shape[1] if tables else 16,
        "visibility_embedding": "clip_constant",
        "clip_mean": PUBLISHED_CLIP_MEAN,
        "clip_std": PUBLISHED_CLIP_STD,
    }


def prior_state_to_official(
    state: dict[str, Tensor], *, max_views: int | None = None
) -> dict[str, Tensor]:
    """Rename our prior state dict to the published names; inverse of `prior_state_from_official`.

    Drops OURS_NOT_IN_OFFICIAL and gives the unused norms their initial values. `max_views` cuts
    the position tables to the published length (5). Raises CheckpointError for a prior with
    learned visibility, which the published model cannot hold.
    """
    if "visibility_in.bias" not in state:
        raise CheckpointError(
            "found a prior with learned visibility; the published format only holds "
            "prior.visibility_embedding=clip_constant. Train one with that setting to export it."
        )
    shaped = state | {
        "token_positions": state["token_positions"][None],
        "query": state["query"][None, None],
    }
    official: dict[str, Tensor] = {}
    for key, value in shaped.items():
        names = official_prior_keys(key)
        if key.endswith("positions.pe"):
            official |= {name: value[:, :max_views].clone() for name in names}
        else:
            official |= dict.fromkeys(names, value)
        if key.endswith("across.norm.weight"):
            block = names[0].removesuffix("temporal_transformer.prior_norm.weight")
            fills = (torch.ones_like(value), torch.zeros_like(value))
            unused = zip(UNUSED_IN_OFFICIAL, fills, strict=True)
            official |= {f"{block}{name}": fill for name, fill in unused}
    return official
