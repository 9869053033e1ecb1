"""Pose guiders and U-Nets: predictions, every block, gradients."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jcdm.compat.official_keys_unet import join_official_unet
from jcdm.compat.parity.comparison import FORWARD, LOSS, Row, compare
from jcdm.compat.parity.fixtures import FixtureFolder
from jcdm.compat.parity.gradients import gradient_rows
from jcdm.compat.parity.loading import load_pose_guider, load_unet
from jcdm.compat.parity.watching import watch

_OUTPUTS = {"pose_guider": "out.feature", "pose_guider3d": "out3d.feature"}
_FIRST_ITEM = re.compile(r"out\.sample_first_item_t(\d+)")
_TRAINED_INPUTS = ("pose_cond_fea", "encoder_hidden_states")


@torch.no_grad()
def compare_pose_guiders(fixtures: FixtureFolder, name: str) -> Iterator[Row]:
    """Compare the pose features of the 2-D and the 3-D model."""
    golden = fixtures.tensors(name)
    for guider, output in _OUTPUTS.items():
        if output in golden:
            found = load_pose_guider(fixtures, guider)(golden["in.image_u8"] / 255)
            yield compare(f"{name}/{output}", found, golden[output], FORWARD)


def compare_unet(fixtures: FixtureFolder, name: str) -> Iterator[Row]:
    """Compare one U-Net: predictions with and without pose, intermediates, loss, gradients."""
    golden = fixtures.tensors(name)
    unet, motion = load_unet(fixtures, name)
    yield from _prediction_rows(name, unet, motion, golden)
    inputs = {key: golden[f"in.{key}"].clone().requires_grad_() for key in _TRAINED_INPUTS}
    found = _predict(unet, golden | {f"in.{key}": value for key, value in inputs.items()})
    loss = F.mse_loss(found, golden["in.grad_target"])
    loss.backward()
    yield compare(f"{name}/out.loss", loss, golden["out.loss"], LOSS)
    yield from gradient_rows(name, _official_gradients(unet, motion, inputs), golden)


def _predict(unet: Any, golden: Mapping[str, Tensor]) -> Tensor:
    stem_input = torch.cat([golden["in.sample"], golden["in.pose_cond_fea"]], dim=1)
    tokens = golden["in.encoder_hidden_states"]
    return unet(stem_input, golden["in.timestep"], tokens, return_dict=False)[0]


@torch.no_grad()
def _prediction_rows(
    name: str, unet: Any, motion: nn.Module | None, golden: Mapping[str, Tensor]
) -> Iterator[Row]:
    with watch(*_places(unet, motion)) as seen:
        found = {"out.sample": _predict(unet, golden)}
    no_pose = {"in.pose_cond_fea": torch.zeros_like(golden["in.pose_cond_fea"])}
    with watch({"mid.conv_in": unet.conv_in}) as without_pose:  # recorded before the pose is added
        found["out.sample_without_pose"] = _predict(unet, {**golden, **no_pose})
    first = {key: value[:1] for key, value in golden.items() if key.startswith("in.")}
    for key in golden:
        if match := _FIRST_ITEM.fullmatch(key):
            timestep = torch.tensor(int(match[1]))
            found[key] = _predict(unet, first | {"in.timestep": timestep})
    found |= {key: tensors[0] for key, tensors in (seen | without_pose).items()}
    for key in (key for key in found if key in golden):
        yield compare(f"{name}/{key}", found[key], golden[key], FORWARD)


def _places(
    unet: Any, motion: Any
) -> tuple[dict[str, nn.Module], dict[str, tuple[nn.Module, int]]]:
    """Our modules that return, or are given, the recorded intermediates."""
    places: dict[str, nn.Module] = {
        "mid.time_embedding": unet.time_embedding,
        "mid.mid_block": unet.mid_block,
    }
    for side, blocks in (("down", unet.down_blocks), ("up", unet.up_blocks)):
        places |= {f"mid.{side}_block_{i}": block for i, block in enumerate(blocks)}
    if motion is None:
        return places, {}
    first = motion.down_blocks[0][0]
    return places | {"mid.motion_d0_out": first}, {"mid.motion_d0_in": (first, 0)}


def _official_gradients(
    unet: nn.Module, motion: nn.Module | None, inputs: Mapping[str, Tensor]
) -> Mapping[str, Tensor]:
    """Gradients of weights and inputs under the published names."""
    grads = [
        {key: p.grad for key, p in module.named_parameters() if p.grad is not None}
        for module in (unet, motion)
        if module is not None
    ]
    given = {f"in.{key}": value.grad for key, value in inputs.items() if value.grad is not None}
    return join_official_unet(grads[0], grads[1] if motion is not None else {}) | given
