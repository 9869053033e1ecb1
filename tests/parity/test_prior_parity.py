"""The appearance prior and the linear injector against golden tensors of the published code."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from jcdm.compat.official_keys_prior import (
    OURS_NOT_IN_OFFICIAL,
    prior_config_from_official,
    prior_state_from_official,
    prior_state_to_official,
)
from jcdm.errors import CheckpointError
from jcdm.models.apm import AppearancePriorTransformer
from jcdm.models.jci import LinearInjector

FIXTURES = ("apm_motion", "apm_nomotion", "apm_officialmlp")
FORWARD, GRADIENT = 1e-4, 1e-3


def load(folder: Path, name: str) -> tuple[AppearancePriorTransformer, dict[str, Tensor]]:
    state = prior_state_from_official(load_file(folder / f"{name}.weights.safetensors"))
    prior = AppearancePriorTransformer(**prior_config_from_official(state, num_heads=4))
    prior.load_state_dict(state, strict=True)
    return prior, load_file(folder / f"{name}.io.safetensors")


def by_view(tensor: Tensor) -> Tensor:
    """(2*4, ...) with the view fastest -> (2, 4, numbers)."""
    return tensor.reshape(2, 4, -1)


def conditions(golden: dict[str, Tensor], names: dict[str, str]) -> dict[str, Tensor]:
    views = {ours: by_view(golden[theirs]) for ours, theirs in names.items()}
    return views | {"visible": torch.ones(2, 4, dtype=torch.bool)}


def run(prior: AppearancePriorTransformer, golden: dict[str, Tensor], timesteps: Tensor) -> Tensor:
    names = {
        "noisy": "in.hidden_states",
        "pose": "in.pose",
        "reference_appearance": "in.img_embeds",
        "visibility_embeds": "in.mask_embeds",
    }
    return prior(**conditions(golden, names), timesteps=timesteps).flatten(0, 1)


def our_gradients(prior: AppearancePriorTransformer, golden: dict[str, Tensor]) -> dict:
    """Recorded gradients' names -> our gradients, renamed by the same table as the weights."""
    zeros = {k: torch.zeros_like(v) for k, v in prior.state_dict().items()}
    zeros |= {k: p.grad for k, p in prior.named_parameters() if p.grad is not None}
    official = prior_state_to_official(zeros)
    return {k: official[k.removeprefix("grad.")] for k in golden if k.startswith("grad.")}


def check_gradients(prior: AppearancePriorTransformer, golden: dict[str, Tensor]) -> None:
    ours = our_gradients(prior, golden)
    assert ours
    for name, gradient in ours.items():
        expected = golden[name]
        assert expected.norm() > 0
        assert (gradient - expected).norm() / expected.norm() < GRADIENT, name


@pytest.mark.parametrize("name", FIXTURES)
def test_predictions(parity_dir: Path, name: str) -> None:
    prior, golden = load(parity_dir, name)
    predicted = run(prior, golden, golden["in.timestep"].reshape(2, 4))
    assert (predicted - golden["out.pred"]).abs().max() < FORWARD
    at_321 = run(prior, golden, torch.tensor(321))
    assert (at_321 - golden["out.pred_t321"]).abs().max() < FORWARD


@pytest.mark.parametrize("name", FIXTURES)
def test_every_block(parity_dir: Path, name: str) -> None:
    prior, golden = load(parity_dir, name)
    found: dict[str, Tensor] = {}

    def keep(key: str) -> None:
        def hook(_module: object, _inputs: object, output: Tensor) -> None:
            found[key] = output.reshape(8, *output.shape[-2:])

        owner = prior.layers[int(key.rsplit("_", 1)[1]) // 2]
        block = owner.across if key.endswith(("1", "3")) else owner.within
        block.register_forward_hook(hook)

    recorded = [key for key in golden if key.startswith("mid.after_block_")]
    for key in recorded:
        keep(key)
    run(prior, golden, golden["in.timestep"].reshape(2, 4))
    assert recorded and found.keys() == set(recorded)
    for key in recorded:
        assert (found[key] - golden[key]).abs().max() < FORWARD, key


@pytest.mark.parametrize("name", FIXTURES)
def test_gradients(parity_dir: Path, name: str) -> None:
    prior, golden = load(parity_dir, name)
    predicted = run(prior, golden, golden["in.timestep"].reshape(2, 4))
    loss = torch.nn.functional.mse_loss(predicted, golden["in.grad_target"])
    loss.backward()
    assert loss.item() == pytest.approx(golden["out.loss"].item(), rel=1e-5)
    check_gradients(prior, golden)


def test_training_step(parity_dir: Path) -> None:
    prior, _ = load(parity_dir, "apm_motion")
    golden = load_file(parity_dir / "train_step_stage1.io.safetensors")
    names = {
        "noisy": "mid.noisy",
        "pose": "in.pose",
        "reference_appearance": "in.source_embeds",
        "visibility_embeds": "in.mask_embeds",
    }
    target = prior.normalise(by_view(golden["in.image_embeds"]))
    expected = by_view(golden["mid.normalised_target"])
    assert torch.allclose(target, expected, rtol=1e-5, atol=1e-6)
    steps = golden["in.timesteps"].reshape(2, 4)
    predicted = prior(**conditions(golden, names), timesteps=steps)
    assert (predicted.flatten(0, 1) - golden["out.pred"]).abs().max() < FORWARD
    loss = torch.nn.functional.mse_loss(predicted, target)
    loss.backward()
    assert loss.item() == pytest.approx(golden["out.loss"].item(), rel=1e-5)
    check_gradients(prior, golden)
    total = torch.stack([p.grad.norm() for p in prior.parameters() if p.grad is not None]).norm()
    assert total.item() == pytest.approx(golden["out.grad_norm_all"].item(), rel=GRADIENT)


@pytest.mark.parametrize("name", FIXTURES)
def test_names_round_trip(parity_dir: Path, name: str) -> None:
    official = load_file(parity_dir / f"{name}.weights.safetensors")
    prefixed = {f"module.{key}": value for key, value in official.items()}
    ours = prior_state_from_official(prefixed)
    assert ours.keys() == prior_state_from_official(official).keys()
    back = prior_state_to_official(ours)
    assert back.keys() == official.keys()
    for key, value in official.items():
        if "temporal_transformer.norm." not in key:
            assert torch.equal(back[key], value), key


def test_ours_not_in_official_is_the_only_addition(parity_dir: Path) -> None:
    official = load_file(parity_dir / "apm_motion.weights.safetensors")
    lean = {k: v for k, v in official.items() if "temporal_transformer.norm." not in k}
    ours = prior_state_from_official(lean)
    assert ours.keys() == load(parity_dir, "apm_motion")[0].state_dict().keys()
    assert set(OURS_NOT_IN_OFFICIAL) < ours.keys()
    assert (ours["null_pose"] == 0).all() and (ours["null_reference"] == 0).all()
    assert ours["clip_mean"].item() == pytest.approx(-0.016)
    # One more position table a block is all that the published names hold twice.
    assert len(ours) == len(lean) - 2 + len(OURS_NOT_IN_OFFICIAL)


def test_full_size_names_and_shapes(parity_dir: Path) -> None:
    listed = json.loads((parity_dir / "keys_full.json").read_text())["apm"]
    official = {k: torch.zeros(()).expand(shape) for k, (shape, _) in listed["keys"].items()}
    ours = prior_state_from_official(official)
    with torch.device("meta"):
        prior = AppearancePriorTransformer(**prior_config_from_official(ours, num_heads=32))
    prior.load_state_dict(ours, strict=True, assign=True)
    nulls, unused_norms = 2 * 2048, 20 * 2 * 2048
    num_parameters = sum(parameter.numel() for parameter in prior.parameters())
    assert num_parameters - nulls + unused_norms == listed["num_params"]


def test_export_cuts_the_position_table(parity_dir: Path) -> None:
    state = load(parity_dir, "apm_motion")[0].state_dict()
    official = prior_state_to_official(state, max_views=4)
    tables = [value for key, value in official.items() if key.endswith("pos_encoder.pe")]
    assert len(tables) == 4 and all(table.shape == (1, 4, 32) for table in tables)


def test_our_position_table_is_the_published_one(parity_dir: Path) -> None:
    ours = AppearancePriorTransformer(
        embed_dim=8, num_layers=1, num_heads=4, head_dim=8, pose_hidden_dim=8, max_views=5
    ).layers[0]
    published = load(parity_dir, "apm_motion")[0].layers[0]
    assert torch.equal(ours.across.block.positions.pe, published.across.block.positions.pe)


def test_foreign_weights_are_named(parity_dir: Path) -> None:
    official = load_file(parity_dir / "apm_motion.weights.safetensors")
    with pytest.raises(CheckpointError, match=r"'clip_extra\.weight'"):
        prior_state_from_official(official | {"clip_extra.weight": torch.zeros(1)})
    with pytest.raises(CheckpointError, match="found no"):
        prior_state_from_official({"weight": torch.zeros(1)})
    table = next(key for key in official if key.endswith("pos_encoder.pe"))
    with pytest.raises(CheckpointError, match="two different position tables"):
        prior_state_from_official(official | {table: official[table] + 1})
    ours = prior_state_from_official(official)
    with pytest.raises(CheckpointError, match=r"'extra\.weight'"):
        prior_state_to_official(ours | {"extra.weight": torch.zeros(1)})
    learned = {key: value for key, value in ours.items() if key != "visibility_in.bias"}
    with pytest.raises(CheckpointError, match="learned visibility"):
        prior_state_to_official(learned)


def test_linear_injector(parity_dir: Path) -> None:
    weights = load_file(parity_dir / "linear_emb.weights.safetensors")
    injector = LinearInjector(appearance_dim=48, token_dim=24)
    injector.projection.load_state_dict(weights, strict=True)
    golden = load_file(parity_dir / "pipeline_no_motion.io.safetensors")
    visible = torch.tensor([[True, True, False, False]])
    tokens = injector(golden["in.pred_embeds"], visible)
    assert (tokens - golden["in.encoder_hidden_states"]).abs().max() < FORWARD
