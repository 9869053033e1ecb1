"""A U-Net's weights under the names of the original Stable Diffusion code, as single files hold."""

import re

from torch import Tensor

_PLACES = {
    "conv_in.": "input_blocks.0.0.",
    "time_embedding.linear_1.": "time_embed.0.",
    "time_embedding.linear_2.": "time_embed.2.",
    "conv_norm_out.": "out.0.",
    "conv_out.": "out.2.",
    "mid_block.resnets.0.": "middle_block.0.",
    "mid_block.attentions.0.": "middle_block.1.",
    "mid_block.resnets.1.": "middle_block.2.",
}
_RESNET = {
    "norm1.": "in_layers.0.",
    "conv1.": "in_layers.2.",
    "norm2.": "out_layers.0.",
    "conv2.": "out_layers.3.",
    "time_emb_proj.": "emb_layers.1.",
    "conv_shortcut.": "skip_connection.",
}
_BLOCK = re.compile(r"(down|up)_blocks\.(\d+)\.(resnets|attentions|\w+samplers)\.(\d+)\.(.+)")


def single_file_state(state: dict[str, Tensor], layers_per_block: int) -> dict[str, Tensor]:
    """Rename a diffusers U-Net's weights, and put a text encoder beside them."""
    renamed = {
        f"model.diffusion_model.{_rename(name, layers_per_block, state)}": tensor
        for name, tensor in state.items()
    }
    return renamed | {"cond_stage_model.text.weight": next(iter(state.values()))}


def _rename(name: str, layers: int, state: dict[str, Tensor]) -> str:
    for ours, theirs in _PLACES.items():
        if name.startswith(ours):
            rest = name.removeprefix(ours)
            return theirs + (_resnet(rest) if ".resnets." in ours else rest)
    side, block, kind, place, rest = _BLOCK.fullmatch(name).groups()
    period = layers + 1
    first = 1 + int(block) * period if side == "down" else int(block) * period
    group = "input_blocks" if side == "down" else "output_blocks"
    if kind == "resnets":
        return f"{group}.{first + int(place)}.0.{_resnet(rest)}"
    if kind == "attentions":
        return f"{group}.{first + int(place)}.1.{rest}"
    if kind == "downsamplers":
        return f"{group}.{first + layers}.0.op.{rest.removeprefix('conv.')}"
    attends = any(key.startswith(f"up_blocks.{block}.attentions") for key in state)
    return f"{group}.{first + layers}.{2 if attends else 1}.{rest}"


def _resnet(rest: str) -> str:
    for ours, theirs in _RESNET.items():
        if rest.startswith(ours):
            return theirs + rest.removeprefix(ours)
    raise KeyError(rest)
