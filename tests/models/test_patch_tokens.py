"""Patches of the references become tokens, and nothing of any other view does."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import denoiser_factory as factory
import pytest
import torch
from torch import Tensor

from jcdm.config import JCIConfig
from jcdm.errors import ConfigError, DataError
from jcdm.models.denoiser import JCDMDenoiser
from jcdm.models.jci import JointConditionInjector, build_injector

BATCH, VIEWS, DIM, TOKENS, WIDTH, PATCH_DIM = 2, 4, 12, 5, 16, 7
VISIBLE = torch.tensor([[True, False, True, False], [True, True, False, False]])
WITH_PATCHES = {
    "jci_config": asdict(JCIConfig(num_tokens=3, num_heads=2, num_layers=1, patch_grid=2)),
    "patch_dim": PATCH_DIM,
}


def build(patch_grid: int = 2, **changes: Any) -> JointConditionInjector:
    torch.manual_seed(0)
    options = {"num_tokens": TOKENS, "num_heads": 2, "max_views": 6, "patch_dim": PATCH_DIM}
    return build_injector(
        "cross_attention",
        appearance_dim=DIM,
        token_dim=WIDTH,
        patch_grid=patch_grid,
        **(options | changes),
    ).eval()


def random(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def embeddings() -> Tensor:
    return random(BATCH, VIEWS, DIM, seed=1)


def patches(width: int = PATCH_DIM) -> Tensor:
    return random(BATCH, VIEWS, 4, width, seed=2)


def patch_tokens(injector: JointConditionInjector, told: Tensor, **options: Any) -> Tensor:
    """Tokens of the patches alone, (B,V,n*n,E)."""
    tokens = injector(embeddings(), VISIBLE, reference_patches=told, **options)
    return tokens[:, TOKENS:].unflatten(1, (VIEWS, -1))


def test_without_patches_nothing_has_changed() -> None:
    """The same parameters in the same order with the same numbers, and the same tokens."""
    plain, other = build(0, patch_dim=None), build(2)
    names = list(dict(plain.named_parameters()))
    more = list(dict(other.named_parameters()))
    assert [name for name in more if not name.startswith("patches.")] == names
    assert len(more) == len(names) + 7 and plain.patches is None
    assert all(torch.equal(plain.state_dict()[name], other.state_dict()[name]) for name in names)
    tokens = plain(embeddings(), VISIBLE)
    assert tokens.shape == (BATCH, TOKENS, WIDTH)
    told = other(embeddings(), VISIBLE, reference_patches=patches())
    assert told.shape == (BATCH, TOKENS + VIEWS * 4, WIDTH)
    assert torch.equal(told[:, :TOKENS], tokens)
    assert torch.equal(other.null_tokens(3, 2)[:, :TOKENS], plain.null_tokens(3, 2))


def test_a_token_is_its_patch_normalised_projected_and_told_its_view() -> None:
    injector = build()
    assert injector.patches is not None
    torch.nn.init.normal_(injector.patches.norm.weight)
    found = patch_tokens(injector, patches())
    given = patches()[0, 2, 3].double()
    normal = (given - given.mean()) / (given.var(unbiased=False) + 1e-5).sqrt()
    weights = {name: tensor.double() for name, tensor in injector.state_dict().items()}
    normal = normal * weights["patches.norm.weight"] + weights["patches.norm.bias"]
    expected = weights["patches.projection.weight"] @ normal + weights["patches.projection.bias"]
    expected = expected + weights["view_positions.weight"][2] + weights["visibility.weight"][1]
    expected = expected + weights["patches.positions"][3]
    torch.testing.assert_close(found[0, 2, 3].double(), expected, rtol=1e-5, atol=1e-5)


def test_each_patch_of_a_reference_reaches_its_own_token() -> None:
    injector, before = build(), patch_tokens(build(), patches())
    for view in range(VIEWS):
        for place in range(4):
            changed = patches()
            changed[:, view, place] = -changed[:, view, place]
            moved = (patch_tokens(injector, changed) - before).abs().amax(-1) > 1e-3
            expected = torch.zeros_like(moved)
            expected[:, view, place] = VISIBLE[:, view]
            assert torch.equal(moved, expected)


def test_views_that_are_no_references_have_one_learned_token() -> None:
    """What stands there is not read, not even numbers that are none."""
    injector, poisoned = build(), patches()
    poisoned[~VISIBLE] = torch.nan
    found = patch_tokens(injector, poisoned)
    assert torch.equal(found, patch_tokens(injector, patches()))
    assert injector.patches is not None
    assert torch.equal(found[~VISIBLE], injector.patches.absent.expand(4, 4, -1))
    present = torch.tensor([[True, True, False, True], [True, True, True, True]])
    absent = patch_tokens(injector, poisoned, present=present)
    assert torch.equal(absent[0, 2], injector.patches.absent.expand(4, -1))
    assert torch.equal(absent[0, 0], found[0, 0])


def test_a_dropped_condition_leaves_null_tokens_only() -> None:
    injector = build()
    drop = torch.tensor([True, False])
    options = {"reference_patches": patches(), "drop": drop}
    tokens = injector(embeddings(), VISIBLE, **options)
    null = injector.null_tokens(BATCH, VIEWS)
    assert null.shape == tokens.shape and torch.equal(tokens[0], null[0])
    kept = injector(embeddings(), VISIBLE, reference_patches=patches())
    assert torch.equal(tokens[1], kept[1]) and not torch.allclose(
        null[1, TOKENS:], kept[1, TOKENS:]
    )
    injector.zero_grad()
    tokens.square().sum().backward()
    grads = {name: p.grad for name, p in injector.named_parameters()}
    assert all(grad is not None and grad.isfinite().all() for grad in grads.values())
    assert grads["patches.null"].abs().sum() > 0 and grads["patches.absent"].abs().sum() > 0


def test_half_precision_weights_make_half_precision_tokens() -> None:
    tokens = build().to(torch.bfloat16)(embeddings(), VISIBLE, reference_patches=patches())
    assert tokens.dtype == torch.bfloat16 and tokens.isfinite().all()


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"jci\.patch_grid is 2, but jci\.kind=linear"):
        JCIConfig(kind="linear", patch_grid=2)
    with pytest.raises(ConfigError, match=r"jci\.kind=linear.*Set jci\.patch_grid=0"):
        build_injector("linear", appearance_dim=DIM, token_dim=WIDTH, patch_grid=1, patch_dim=7)
    with pytest.raises(ConfigError, match=r"jci\.patch_grid must be >= 0, got -1"):
        JCIConfig(patch_grid=-1)
    with pytest.raises(ConfigError, match=r"no patch_dim was given"):
        build(patch_dim=None)


def test_tokens_are_counted_as_they_are_made() -> None:
    config = JCIConfig(num_tokens=TOKENS, patch_grid=2)
    tokens = build()(embeddings(), VISIBLE, reference_patches=patches())
    assert config.count_tokens(VIEWS) == tokens.shape[1]
    assert JCIConfig(num_tokens=7).count_tokens(VIEWS) == 7


def test_a_denoiser_is_told_of_patches_if_it_asks_and_not_otherwise() -> None:
    denoiser, inputs = factory.build(**WITH_PATCHES), factory.conditions()
    told = denoiser.condition(**inputs, reference_patches=patches())
    assert denoiser.patch_grid == 2 and told.tokens.shape == (2, 3 + 4 * 4, 12)
    expected = r"expected \(2, 4, 4, 7\): this denoiser's jci\.patch_grid is 2"
    for wrong in (None, patches(6), patches()[:, :, :1]):
        with pytest.raises(DataError, match=expected):
            denoiser.condition(**inputs, reference_patches=wrong)
    for jci in (None, {"kind": "linear"}):
        plain = factory.build(**({"jci_config": jci} if jci else {}))
        assert plain.patch_grid == 0
        with pytest.raises(DataError, match=r"expected None: this denoiser's jci\.patch_grid is 0"):
            plain.condition(**inputs, reference_patches=patches())


@torch.no_grad()
def test_patches_reach_the_prediction_and_come_back_with_the_weights(tmp_path: Path) -> None:
    denoiser, inputs = factory.build(**WITH_PATCHES), factory.conditions()

    def predict(model: JCDMDenoiser, told: Tensor) -> Tensor:
        return model(factory.noisy_grid(), factory.TIMESTEPS, **inputs, reference_patches=told)

    before = predict(denoiser, patches())
    assert not torch.allclose(before, predict(denoiser, -patches()), atol=1e-5)
    denoiser.save_pretrained(tmp_path)
    loaded = JCDMDenoiser.from_pretrained(tmp_path)
    assert loaded.config["patch_dim"] == PATCH_DIM
    assert torch.equal(predict(loaded, patches()), before)


@torch.no_grad()
def test_a_folder_from_before_there_were_patches_still_loads(tmp_path: Path) -> None:
    denoiser, inputs = factory.build(), factory.conditions()
    denoiser.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config.pop("patch_dim") is None and config["jci_config"].pop("patch_grid") == 0
    (tmp_path / "config.json").write_text(json.dumps(config))
    loaded = JCDMDenoiser.from_pretrained(tmp_path)
    noisy = factory.noisy_grid()
    assert torch.equal(
        loaded(noisy, factory.TIMESTEPS, **inputs), denoiser(noisy, factory.TIMESTEPS, **inputs)
    )
