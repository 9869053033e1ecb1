"""The injectors: every view reaches the tokens, the null really replaces them."""

import pytest
import torch
from torch import Tensor, nn

from jcdm.errors import ConfigError, DataError
from jcdm.models.jci import JointConditionInjector, LinearInjector, build_injector

BATCH, VIEWS, DIM, TOKENS, WIDTH = 2, 4, 12, 5, 16


def build(kind: str) -> nn.Module:
    torch.manual_seed(0)
    return build_injector(
        kind, appearance_dim=DIM, token_dim=WIDTH, num_tokens=TOKENS, num_heads=2, max_views=6
    ).eval()


def embeddings() -> Tensor:
    return torch.randn(BATCH, VIEWS, DIM, generator=torch.Generator().manual_seed(1))


VISIBLE = torch.tensor([[True, False, True, False], [True, True, False, False]])
both = pytest.mark.parametrize("kind", ["cross_attention", "linear"])


def test_shapes_and_kinds() -> None:
    attended, linear = build("cross_attention"), build("linear")
    assert isinstance(attended, JointConditionInjector) and isinstance(linear, LinearInjector)
    assert attended(embeddings(), VISIBLE).shape == (BATCH, TOKENS, WIDTH)
    assert linear(embeddings(), VISIBLE).shape == (BATCH, VIEWS, WIDTH)


def test_every_view_and_its_visibility_reach_every_token() -> None:
    injector, tokens = build("cross_attention"), build("cross_attention")(embeddings(), VISIBLE)
    for view in range(VIEWS):
        other, seen = embeddings(), VISIBLE.clone()
        other[:, view] = -other[:, view]
        seen[:, view] = ~seen[:, view]
        for changed in (injector(other, VISIBLE), injector(embeddings(), seen)):
            assert ((tokens - changed).abs().amax(dim=-1) > 0).all()


def test_views_are_told_apart_by_position() -> None:
    injector, seen = build("cross_attention"), torch.ones_like(VISIBLE)
    swapped = injector(embeddings().flip(1), seen)
    assert not torch.allclose(injector(embeddings(), seen), swapped, atol=1e-4)


def test_tokens_differ_from_each_other() -> None:
    tokens = build("cross_attention")(embeddings(), VISIBLE)
    assert (torch.pdist(tokens[0]) > 1e-2).all()


def test_scale_of_the_embeddings_is_taken_out() -> None:
    injector = build("cross_attention")
    large = injector(embeddings() * 40, VISIBLE)
    assert torch.allclose(injector(embeddings(), VISIBLE), large, atol=1e-3)


@both
def test_absent_views_are_not_read(kind: str) -> None:
    injector, other = build(kind), embeddings()
    other[:, 1] = -other[:, 1]
    present = torch.tensor([[True, False, True, True]]).repeat(BATCH, 1)
    tokens = injector(embeddings(), VISIBLE, present=present)
    assert torch.equal(tokens, injector(other, VISIBLE, present=present))
    assert not torch.allclose(tokens, injector(embeddings(), VISIBLE))
    none = injector(embeddings(), VISIBLE, present=torch.zeros_like(present))
    assert none.isfinite().all()


@both
def test_drop_gives_the_null_tokens(kind: str) -> None:
    injector = build(kind)
    tokens = injector(embeddings(), VISIBLE, drop=torch.tensor([True, False]))
    assert torch.equal(tokens[0], injector.null_tokens(BATCH, VIEWS)[0])
    assert torch.allclose(tokens[1], injector(embeddings(), VISIBLE)[1], atol=1e-6)
    assert not torch.allclose(tokens[0], injector(embeddings(), VISIBLE)[0])


def test_null_tokens_learn_only_from_dropped_samples() -> None:
    injector = build("cross_attention")
    for drop, learns in ((True, True), (False, False)):
        injector.zero_grad()
        injector(embeddings(), VISIBLE, drop=torch.tensor([drop, False])).square().sum().backward()
        assert bool(injector.null.grad.abs().sum() > 0) is learns


def test_null_tokens_are_distinct_and_the_linear_null_is_zero() -> None:
    assert (torch.pdist(build("cross_attention").null) > 0).all()
    assert (build("linear").null_tokens(3, 2) == 0).all()
    assert build("linear").null_tokens(3, 2).shape == (3, 2, WIDTH)
    assert build("cross_attention").null_tokens(3, 2).shape == (3, TOKENS, WIDTH)


def test_any_number_of_views_up_to_the_most() -> None:
    injector = build("cross_attention")
    assert injector(embeddings()[:, :1], VISIBLE[:, :1]).shape == (BATCH, TOKENS, WIDTH)
    with pytest.raises(DataError, match=r"found 8 views.*at most 6"):
        injector(embeddings().repeat(1, 2, 1), VISIBLE.repeat(1, 2))


@both
def test_runs_in_half_precision_weights(kind: str) -> None:
    tokens = build(kind).to(torch.bfloat16)(embeddings(), VISIBLE)
    assert tokens.dtype == torch.bfloat16 and tokens.isfinite().all()


def test_wrong_settings_are_named() -> None:
    with pytest.raises(ConfigError, match=r"jci\.kind is 'mlp'"):
        build("mlp")
    with pytest.raises(ConfigError, match=r"jci\.num_heads is 3"):
        build_injector("cross_attention", appearance_dim=DIM, token_dim=WIDTH, num_heads=3)
