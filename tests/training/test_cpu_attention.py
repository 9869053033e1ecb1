"""Attention in float32 where gradients flow, and only there."""

import torch
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

from jcdm.training.cpu_attention import float_attention_for_gradients


def queries(seed: int, *, requires_grad: bool) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(2, 2, 8, 4, generator=generator).to(torch.bfloat16)
    return x.requires_grad_(requires_grad)


def attend(*, requires_grad: bool) -> torch.Tensor:
    q, k, v = (queries(seed, requires_grad=requires_grad) for seed in range(3))
    with float_attention_for_gradients(), torch.autocast("cpu", torch.bfloat16):
        return F.scaled_dot_product_attention(q, k, v)


def test_with_gradients_the_result_is_that_of_float32_rounded_once():
    q, k, v = (queries(seed, requires_grad=False).float() for seed in range(3))
    expected = F.scaled_dot_product_attention(q, k, v).to(torch.bfloat16)
    made = attend(requires_grad=True)
    assert made.dtype is torch.bfloat16 and made.requires_grad
    assert torch.equal(made, expected)


def test_without_gradients_nothing_is_changed():
    q, k, v = (queries(seed, requires_grad=False) for seed in range(3))
    plain = F.scaled_dot_product_attention(q, k, v)
    assert torch.equal(attend(requires_grad=False), plain)
    rounded = attend(requires_grad=True)
    assert not torch.equal(rounded.detach(), plain), "the two paths must differ to be told apart"


def test_attention_recomputed_in_the_backward_pass_is_the_same():
    q, k, v = (queries(seed, requires_grad=True) for seed in range(3))
    with float_attention_for_gradients(), torch.autocast("cpu", torch.bfloat16):
        made = checkpoint(F.scaled_dot_product_attention, q, k, v, use_reentrant=False)
        made.float().sum().backward()  # torch refuses a recomputation with other shapes or types
    assert torch.equal(made.detach(), attend(requires_grad=True).detach())


def test_the_functions_keyword_form_is_caught_too():
    q, k, v = (queries(seed, requires_grad=True) for seed in range(3))
    with float_attention_for_gradients():
        made = F.scaled_dot_product_attention(query=q, key=k, value=v, dropout_p=0.0)
    made.float().sum().backward()
    assert made.dtype is torch.bfloat16 and q.grad is not None
