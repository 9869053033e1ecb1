"""Keys and values kept by tokens: the same numbers, computed once, and nothing left behind."""

from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel
from torch import Tensor

from jcdm.models.fixed_keys import fixed_keys


@pytest.fixture(scope="module")
def unet() -> UNet2DConditionModel:
    torch.manual_seed(0)
    return UNet2DConditionModel(
        in_channels=3,
        out_channels=3,
        block_out_channels=(8, 16),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        layers_per_block=1,
        cross_attention_dim=6,
        attention_head_dim=2,
        norm_num_groups=4,
    ).eval()


def random(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def predict(unet: Any, noisy: Tensor, tokens: Tensor) -> Tensor:
    return unet(noisy, torch.tensor(7), encoder_hidden_states=tokens).sample


def listen(unet: Any, layer: str) -> list[int]:
    """Note the batch size of every call of the cross-attention's layers of a name."""
    calls: list[int] = []
    for name, module in unet.named_modules():
        if name.endswith(f"attn2.{layer}"):
            module.register_forward_pre_hook(lambda _, inputs: calls.append(len(inputs[0])))
    return calls


def test_tokens_may_take_turns_and_differ_in_number(unet: UNet2DConditionModel) -> None:
    """What guidance's interval does: 2N grids at some steps and N at others."""
    both, one = random(4, 3, 6, seed=1), random(2, 5, 6, seed=2)
    noisy = [random(n, 3, 8, 8, seed=10 + i) for i, n in enumerate((4, 2, 4, 2))]
    plain = [predict(unet, x, t) for x, t in zip(noisy, (both, one) * 2, strict=True)]
    calls = {layer: listen(unet, layer) for layer in ("to_k", "to_v", "to_q")}
    with fixed_keys(unet):
        kept = [predict(unet, x, t) for x, t in zip(noisy, (both, one) * 2, strict=True)]
    assert all(torch.equal(a, b) for a, b in zip(plain, kept, strict=True))
    num_layers = len(calls["to_q"]) // 4
    assert num_layers == 4
    assert sorted(calls["to_k"]) == sorted(calls["to_v"]) == [2] * num_layers + [4] * num_layers


def test_equal_numbers_in_another_tensor_are_other_tokens(unet: UNet2DConditionModel) -> None:
    tokens, noisy = random(1, 3, 6, seed=1), random(1, 3, 8, 8, seed=3)
    with fixed_keys(unet):
        before = predict(unet, noisy, tokens)
        for seed in range(5):  # freed addresses are given away again
            other = predict(unet, noisy, random(1, 3, 6, seed=20 + seed))
            assert not torch.allclose(before, other, atol=1e-5)
        assert torch.equal(predict(unet, noisy, tokens), before)


def test_processors_are_put_back_also_after_an_error(unet: UNet2DConditionModel) -> None:
    before = unet.attn_processors
    with pytest.raises(RuntimeError, match="stop"), fixed_keys(unet):
        within = unet.attn_processors
        raise RuntimeError("stop")
    assert unet.attn_processors == before
    changed = {name for name in before if within[name] is not before[name]}
    assert changed == {name for name in before if ".attn2." in name}


def test_nothing_is_remembered_from_one_sample_to_the_next(unet: UNet2DConditionModel) -> None:
    tokens, noisy = random(1, 3, 6, seed=1), random(1, 3, 8, 8, seed=3)
    results = []
    for _ in range(2):
        with fixed_keys(unet):
            results.append(predict(unet, noisy, tokens))
        tokens += 1
    assert not torch.allclose(*results, atol=1e-5)
