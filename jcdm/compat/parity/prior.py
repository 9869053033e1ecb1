"""The appearance prior: predictions, every block, gradients."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from jcdm.compat.official_keys_prior import prior_state_to_official
from jcdm.compat.parity.comparison import FORWARD, LOSS, Row, compare
from jcdm.compat.parity.fixtures import FixtureFolder
from jcdm.compat.parity.gradients import gradient_rows, gradients_by_official_name
from jcdm.compat.parity.loading import load_prior
from jcdm.compat.parity.watching import Seen, watch
from jcdm.models.apm import AppearancePriorTransformer

_BLOCK = re.compile(r"mid\.after_block_(\d+)")
_AT_TIMESTEP = re.compile(r"out\.pred_t(\d+)")
_FIXTURE_INPUTS = {
    "noisy": "in.hidden_states",
    "pose": "in.pose",
    "reference_appearance": "in.img_embeds",
    "visibility_embeds": "in.mask_embeds",
}


def compare_prior(fixtures: FixtureFolder, name: str) -> Iterator[Row]:
    """Compare one prior: predictions, intermediates, loss and gradients."""
    golden, prior = fixtures.tensors(name), load_prior(fixtures, name)
    num_views = fixtures.settings(name)["num_views"]
    inputs = prior_inputs(golden, _FIXTURE_INPUTS, num_views)
    steps = by_view(golden["in.timestep"], num_views)[..., 0]
    outputs, tokens = _places(prior, golden)
    with watch(outputs, tokens) as seen:
        predicted = prior(timesteps=steps, **inputs)
    yield compare(f"{name}/out.pred", predicted.flatten(0, 1), golden["out.pred"], FORWARD)
    yield from _intermediate_rows(name, seen, golden)
    loss = F.mse_loss(predicted.flatten(0, 1), golden["in.grad_target"])
    loss.backward()
    yield compare(f"{name}/out.loss", loss, golden["out.loss"], LOSS)
    yield from gradient_rows(name, official_gradients(prior), golden)
    with torch.no_grad():
        for key, timestep in _predictions_at_one_timestep(golden):
            found = prior(timesteps=timestep, **inputs).flatten(0, 1)
            yield compare(f"{name}/{key}", found, golden[key], FORWARD)


def by_view(tensor: Tensor, num_views: int) -> Tensor:
    """Give each person its views, which are recorded one after the other: (B*V,...) -> (B,V,n)."""
    numbers = tensor.reshape(len(tensor), -1)
    return rearrange(numbers, "(b v) n -> b v n", v=num_views)


def prior_inputs(
    golden: Mapping[str, Tensor], names: Mapping[str, str], num_views: int
) -> dict[str, Tensor]:
    """Arguments of our prior from recorded ones; `visible` is not read by a published prior."""
    inputs = {ours: by_view(golden[theirs], num_views) for ours, theirs in names.items()}
    everything = torch.ones(next(iter(inputs.values())).shape[:2], dtype=torch.bool)
    return inputs | {"visible": everything}


def official_gradients(prior: AppearancePriorTransformer) -> Mapping[str, Tensor]:
    """Collect the prior's gradients under the published names."""
    return gradients_by_official_name(prior, prior_state_to_official)


def _places(
    prior: AppearancePriorTransformer, golden: Mapping[str, Tensor]
) -> tuple[dict[str, nn.Module], dict[str, tuple[nn.Module, int]]]:
    """Our modules that return, or are given, the recorded intermediates."""
    outputs: dict[str, nn.Module] = {
        "mid.norm_out": prior.norm_out,
        "mid.pose_mlp_out": prior.pose_encoder,
        "mid.time_embedding": prior.timestep_in,
    }
    for key in golden:
        if match := _BLOCK.fullmatch(key):
            layer: Any = prior.layers[int(match[1]) // 2]
            outputs[key] = layer.across if int(match[1]) % 2 else layer.within
    return outputs, {"mid.tokens_in": (prior.layers[0], 0)}


def _intermediate_rows(name: str, seen: Seen, golden: Mapping[str, Tensor]) -> Iterator[Row]:
    """Compare what was seen, however views are batched; ours normalises the last token alone."""
    for key in (key for key in seen if key in golden):
        expected = golden[key][:, -1] if key == "mid.norm_out" else golden[key]
        ours = seen[key][0]
        found = ours if ours.ndim == expected.ndim else ours.flatten(0, 1)
        yield compare(f"{name}/{key}", found, expected, FORWARD)


def _predictions_at_one_timestep(golden: Mapping[str, Tensor]) -> Iterator[tuple[str, int]]:
    for key in golden:
        if match := _AT_TIMESTEP.fullmatch(key):
            yield key, int(match[1])
