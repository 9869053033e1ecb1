"""The appearance prior: every input matters, views mix only where they should, weights survive."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from jcdm.errors import ConfigError, DataError
from jcdm.models.apm import AppearancePriorTransformer

BATCH, VIEWS, DIM = 2, 4, 12


def build_prior(awake: bool = True, **changes: object) -> AppearancePriorTransformer:
    """A tiny prior; awake = its zero-initialised layers hold numbers, as after training."""
    torch.manual_seed(0)
    settings: dict = dict(
        embed_dim=DIM, num_layers=2, num_heads=2, head_dim=8, pose_hidden_dim=10, num_view_heads=2
    )
    prior = AppearancePriorTransformer(**(settings | changes)).eval()
    if awake:
        for name, parameter in prior.named_parameters():
            if "proj_out" in name or "null" in name:
                nn.init.normal_(parameter, std=0.5)
    return prior


def make_inputs(views: int = VIEWS) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {
        "noisy": torch.randn(BATCH, views, DIM, generator=generator),
        "timesteps": torch.tensor([10, 800]),
        "pose": torch.rand(BATCH, views, 36, generator=generator),
        "reference_appearance": torch.randn(BATCH, views, DIM, generator=generator),
        "visible": torch.tensor([[True, False, True, False]]).repeat(BATCH, 1)[:, :views],
    }


def changed_views(prior: nn.Module, **changes: Tensor) -> list[bool]:
    """Which views' predictions differ (any sample) when some inputs are replaced."""
    inputs = make_inputs()
    with torch.no_grad():
        difference = prior(**inputs) - prior(**(inputs | changes))
    return (difference.abs().amax(dim=(0, 2)) > 0).tolist()


def changed_at(name: str, view: int, change: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
    tensor = make_inputs()[name].clone()
    tensor[:, view] = change(tensor[:, view])
    return {name: tensor}


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("noisy", lambda x: x + 1),
        ("pose", lambda x: 1 - x),
        ("reference_appearance", lambda x: -x),
        ("visible", lambda x: ~x),
    ],
)
def test_every_input_of_a_view_reaches_all_views(name: str, change: Callable) -> None:
    assert changed_views(build_prior(), **changed_at(name, 3, change)) == [True] * 4
    alone = build_prior(attend_across_views=False)
    assert changed_views(alone, **changed_at(name, 3, change)) == [False, False, False, True]


def test_timestep_shapes_agree() -> None:
    prior, inputs = build_prior(), make_inputs()
    results = []
    for steps in (300, torch.tensor(300), torch.full((2,), 300), torch.full((2, 4), 300)):
        results.append(prior(**(inputs | {"timesteps": steps})))
    assert all(torch.equal(results[0], other) for other in results[1:])
    assert not torch.allclose(results[0], prior(**(inputs | {"timesteps": 10})))


def test_a_timestep_a_view_is_heard_by_that_view() -> None:
    prior = build_prior(attend_across_views=False)
    steps = torch.tensor([[10, 10, 10, 500], [800, 800, 800, 500]])
    assert changed_views(prior, timesteps=steps) == [False, False, False, True]


def test_fresh_across_view_blocks_change_nothing() -> None:
    fresh, alone = build_prior(awake=False), build_prior(awake=False, attend_across_views=False)
    outcome = alone.load_state_dict(fresh.state_dict(), strict=False)
    assert not outcome.missing_keys and all(".across." in key for key in outcome.unexpected_keys)
    assert torch.equal(fresh(**make_inputs()), alone(**make_inputs()))


def test_view_order_matters_only_across_views() -> None:
    def flipped(prior: nn.Module) -> Tensor:
        inputs = {k: v if k == "timesteps" else v.flip(1) for k, v in make_inputs().items()}
        return prior(**inputs).flip(1)

    prior, alone = build_prior(), build_prior(attend_across_views=False)
    assert torch.allclose(alone(**make_inputs()), flipped(alone), atol=1e-6)
    assert not torch.allclose(prior(**make_inputs()), flipped(prior), atol=1e-4)


def test_absent_views_are_unheard() -> None:
    prior, inputs = build_prior(), make_inputs()
    present = torch.tensor([[True, True, False, True], [True, True, True, True]])
    masked = prior(**inputs, present=present)
    other = {k: v.clone() for k, v in inputs.items()}
    for name in ("noisy", "pose", "reference_appearance"):
        other[name][0, 2] += 3.0
    again = prior(**other, present=present)
    keep = torch.tensor([0, 1, 3])
    assert torch.equal(masked[0, keep], again[0, keep])
    assert torch.equal(masked[1], again[1])
    assert not torch.allclose(masked[0, keep], prior(**inputs)[0, keep])
    assert torch.allclose(masked[1], prior(**inputs)[1], atol=1e-6)


def test_absent_views_send_no_gradient() -> None:
    inputs = make_inputs()
    noisy = inputs["noisy"].requires_grad_()
    present = torch.tensor([[True, True, False, True]]).repeat(BATCH, 1)
    build_prior()(**inputs, present=present)[:, [0, 1, 3]].square().sum().backward()
    assert noisy.grad is not None
    assert (noisy.grad[:, 2] == 0).all() and (noisy.grad[:, 0] != 0).any()


def test_leading_views_alone_equal_absent_trailing_views() -> None:
    prior = build_prior()
    present = torch.tensor([[True, True, False, False]]).repeat(BATCH, 1)
    masked = prior(**make_inputs(), present=present)[:, :2]
    inputs = {k: v if k == "timesteps" else v[:, :2] for k, v in make_inputs().items()}
    assert torch.allclose(masked, prior(**inputs), atol=1e-5)


def test_a_sample_without_any_view_stays_finite() -> None:
    present = torch.zeros(BATCH, VIEWS, dtype=torch.bool)
    assert build_prior()(**make_inputs(), present=present).isfinite().all()


def test_drop_hides_pose_and_reference_of_its_sample() -> None:
    prior, inputs = build_prior(), make_inputs()
    other = inputs | {
        "pose": 1 - inputs["pose"],
        "reference_appearance": -inputs["reference_appearance"],
    }
    drop = torch.tensor([True, False])
    first, second = prior(**inputs, drop=drop), prior(**other, drop=drop)
    assert torch.equal(first[0], second[0]) and not torch.allclose(first[1], second[1])
    kept = prior(**inputs)
    assert torch.allclose(first[1], kept[1], atol=1e-6) and not torch.allclose(first[0], kept[0])


def test_null_tokens_learn_from_dropped_samples() -> None:
    prior = build_prior()
    prior(**make_inputs(), drop=torch.tensor([True, False])).square().sum().backward()
    for parameter in (prior.null_pose, prior.null_reference):
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0


def test_clip_constant_reads_the_given_embeddings() -> None:
    prior, inputs = build_prior(visibility_embedding="clip_constant"), make_inputs()
    white, black = torch.ones(BATCH, VIEWS, DIM), -torch.ones(BATCH, VIEWS, DIM)
    first = prior(**inputs, visibility_embeds=white)
    assert not torch.allclose(first, prior(**inputs, visibility_embeds=black))
    with pytest.raises(ConfigError, match="found no visibility_embeds"):
        prior(**inputs)


def test_activation_checkpointing_gives_equal_gradients() -> None:
    gradients = []
    for checkpointing in (False, True):
        prior = build_prior().train()
        if checkpointing:
            prior.enable_gradient_checkpointing()
            assert prior.is_gradient_checkpointing
            forwards: list[int] = []
            prior.layers[0].register_forward_pre_hook(lambda *_, log=forwards: log.append(1))
        prior(**make_inputs()).square().mean().backward()
        gradients.append({k: p.grad for k, p in prior.named_parameters() if p.grad is not None})
    assert len(forwards) == 2, "the layer was not computed again in the backward pass"
    assert gradients[0].keys() == gradients[1].keys()
    assert all(torch.equal(gradients[0][name], gradients[1][name]) for name in gradients[0])


def test_save_and_load_are_bit_equal(tmp_path: Path) -> None:
    prior = build_prior(clip_mean=0.25, clip_std=0.5)
    prior.save_pretrained(tmp_path)
    assert [p.name for p in tmp_path.glob("*.safetensors")]
    loaded = AppearancePriorTransformer.from_pretrained(tmp_path)
    state = prior.state_dict()
    assert state.keys() == loaded.state_dict().keys()
    assert all(torch.equal(state[key], value) for key, value in loaded.state_dict().items())
    assert loaded.clip_mean.item() == 0.25 and loaded.clip_std.item() == 0.5
    assert torch.equal(prior(**make_inputs()), loaded(**make_inputs()))


def test_statistics_stay_exact_in_half_precision(tmp_path: Path) -> None:
    prior = build_prior()
    prior.save_pretrained(tmp_path)
    loaded = AppearancePriorTransformer.from_pretrained(tmp_path, dtype=torch.bfloat16)
    for half in (prior.to(torch.bfloat16), loaded):
        assert half.noisy_in.weight.dtype == torch.bfloat16
        assert half.clip_mean.item() == torch.tensor(-0.016).item()
        assert half.clip_std.item() == torch.tensor(0.415).item()
        assert half(**make_inputs()).isfinite().all()


def test_normalise_and_denormalise_are_inverse() -> None:
    prior, embeddings = build_prior(), make_inputs()["noisy"]
    assert torch.allclose(prior.normalise(embeddings), (embeddings + 0.016) / 0.415)
    assert torch.allclose(prior.denormalise(prior.normalise(embeddings)), embeddings, atol=1e-6)


def test_a_tiny_prior_learns_two_people() -> None:
    prior, inputs = build_prior(awake=False).train(), make_inputs()
    target = torch.randn(BATCH, VIEWS, DIM, generator=torch.Generator().manual_seed(2))
    optimizer = torch.optim.AdamW(prior.parameters(), lr=3e-3)
    for _ in range(80):
        loss = (prior(**inputs) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("pose", (2, 4, 34), r"pose has shape \(2, 4, 34\), expected \(2, 4, 36\)"),
        ("reference_appearance", (2, 3, 12), "reference_appearance has shape"),
        ("visible", (2, 1), "visible has shape"),
        ("noisy", (2, 4, 13), "noisy has shape"),
        ("timesteps", (3,), "timesteps have shape"),
    ],
)
def test_wrong_shapes_are_named(name: str, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        build_prior()(**(make_inputs() | {name: torch.zeros(shape)}))


def test_wrong_settings_are_named() -> None:
    with pytest.raises(ConfigError, match="visibility_embedding is 'clip'"):
        build_prior(visibility_embedding="clip")
    with pytest.raises(ConfigError, match="width 16 and 3 heads"):
        build_prior(num_view_heads=3)
    with pytest.raises(DataError, match=r"found 4 positions.*at most 3"):
        build_prior(max_views=3)(**make_inputs())
