"""A token of every view's own reaches the features of its own cell, and no other cell's."""

from dataclasses import asdict
from typing import Any

import denoiser_factory as factory
import pytest
import torch
from torch import Tensor, nn

from jcdm.config import JCIConfig
from jcdm.errors import ConfigError
from jcdm.grid import from_grid
from jcdm.models.denoiser import JCDMDenoiser

VIEWS, TOKENS = 4, 3
JCI = {"num_tokens": TOKENS, "num_heads": 2, "num_layers": 1}


def build(**jci: Any) -> JCDMDenoiser:
    return factory.build(jci_config=asdict(JCIConfig(**JCI | {"into_cells": True} | jci)))


def told_to_cells(denoiser: JCDMDenoiser, **changes: Tensor) -> Tensor:
    """What the input convolution adds to its result, cell by cell: (B,V,P,h,w)."""
    seen: list[Tensor] = []
    width = denoiser.unet.config["block_out_channels"][0]
    hook = denoiser.unet.conv_in.register_forward_hook(
        lambda module, inputs, _: seen.append(inputs[0][:, -width:])
    )
    with torch.no_grad():
        told = denoiser.condition(**factory.conditions() | changes)
        denoiser.predict(factory.noisy_grid(), factory.TIMESTEPS, told)
    hook.remove()
    return from_grid(seen[0], denoiser.grid)


def test_every_view_has_a_token_more() -> None:
    denoiser = build()
    told = denoiser.condition(**factory.conditions())
    assert (
        told.tokens.shape[1]
        == TOKENS + VIEWS
        == JCIConfig(**JCI, into_cells=True).count_tokens(VIEWS)
    )
    assert denoiser.injector.null_tokens(2, VIEWS).shape == told.tokens.shape
    own = denoiser.injector.own_tokens(told.tokens, VIEWS)
    assert torch.equal(own, told.tokens[:, TOKENS:])


def test_a_cell_is_told_its_own_token_and_the_pose_beside_it() -> None:
    denoiser = factory.randomise(build())
    told = denoiser.condition(**factory.conditions())
    found = told_to_cells(denoiser) - from_grid(told.pose, denoiser.grid)
    own = nn.functional.linear(
        told.tokens[:, TOKENS:], denoiser.into_cells.weight, denoiser.into_cells.bias
    )
    expected = own[..., None, None].expand_as(found)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert (found[:, 0] - found[:, 1]).abs().max() > 1e-3


def test_untrained_it_adds_nothing_to_the_cells() -> None:
    denoiser = build()
    told = denoiser.condition(**factory.conditions())
    assert torch.equal(told_to_cells(denoiser), from_grid(told.pose, denoiser.grid))


def test_a_dropped_condition_says_the_same_to_every_cell() -> None:
    denoiser = factory.randomise(build())
    drop = torch.tensor([True, False])
    told = denoiser.condition(**factory.conditions(), drop_prior=drop)
    own = denoiser.injector.own_tokens(told.tokens, VIEWS)
    assert (own[0] == own[0, :1]).all() and not torch.allclose(own[1], own[1, :1])


def test_the_embedding_of_an_empty_cell_is_not_read() -> None:
    denoiser, inputs = factory.randomise(build()), factory.conditions()
    present = inputs["present"].clone()
    present[:, 3] = False
    other = inputs["embeddings"].clone()
    other[:, 3] += torch.linspace(-5, 5, other.shape[-1])
    tokens = [
        denoiser.condition(**inputs | {"present": present, "embeddings": embeddings}).tokens
        for embeddings in (inputs["embeddings"], other)
    ]
    assert torch.equal(*tokens)
    read = denoiser.condition(**inputs | {"embeddings": other}).tokens
    assert not torch.allclose(read, denoiser.condition(**inputs).tokens, atol=1e-4)


def test_own_tokens_come_before_those_of_patches() -> None:
    denoiser = factory.build(
        jci_config=asdict(JCIConfig(**JCI, into_cells=True, patch_grid=2)), patch_dim=7
    )
    patches = torch.randn(2, VIEWS, 4, 7)
    told = denoiser.condition(**factory.conditions(), reference_patches=patches)
    assert told.tokens.shape[1] == TOKENS + VIEWS + 4 * VIEWS
    other = denoiser.condition(**factory.conditions(), reference_patches=patches + patches.flip(-1))
    assert torch.equal(told.tokens[:, : TOKENS + VIEWS], other.tokens[:, : TOKENS + VIEWS])


def test_it_is_learned() -> None:
    denoiser = build()
    denoiser(
        factory.noisy_grid(), factory.TIMESTEPS, **factory.conditions()
    ).square().sum().backward()
    assert denoiser.into_cells.weight.grad.abs().max() > 0


def test_the_published_injection_has_no_such_token() -> None:
    with pytest.raises(ConfigError, match=r"jci\.into_cells is true, but jci\.kind=linear"):
        JCIConfig(kind="linear", into_cells=True)
    linear = factory.build(jci_config=asdict(JCIConfig(kind="linear")))
    assert linear.into_cells is None
    assert linear.injector.own_tokens(torch.zeros(1, VIEWS, 12), VIEWS) is None
