"""Keys and values of tokens that every denoising step sees alike, computed once.

diffusers' attention takes a processor that computes it. Ours lends the layer's own processor an
attention whose `to_k` and `to_v` remember what they gave for the same tokens.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor


@contextmanager
def fixed_keys(unet: UNet2DConditionModel) -> Iterator[None]:
    """Let the U-Net's cross-attention compute keys and values once a tensor of tokens.

    Tokens are told apart by identity: within the block, a tensor given as `encoder_hidden_states`
    must not be changed in place. Any number of such tensors may take turns, of any batch size. For
    sampling alone, without gradients. The processors that stood before are put back afterwards.
    """
    before = unet.attn_processors
    remembering = {
        name: _remember(unet.get_submodule(name.removesuffix(".processor")), processor)
        for name, processor in before.items()
    }
    unet.set_attn_processor(remembering)
    try:
        yield
    finally:
        unet.set_attn_processor(dict(before))


def _remember(attention: Any, processor: Any) -> Any:
    """Wrap the processor of a cross-attention that reads the tokens as they are; leave others."""
    reads_tokens = attention.is_cross_attention and not attention.norm_cross
    return FixedKeyProcessor(attention, processor) if reads_tokens else processor


class FixedKeyProcessor:
    """A processor that computes attention as `inner` does, keys and values at first sight only."""

    def __init__(self, attention: Any, inner: Any) -> None:
        self.inner = inner
        self.attention = _FixedAttention(attention)

    def __call__(
        self,
        _attention: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
    ) -> Tensor:
        """Attend from hidden_states (B,N,C) to encoder_hidden_states (B,T,E): (B,N,C)."""
        return self.inner(
            self.attention, hidden_states, encoder_hidden_states, attention_mask, temb
        )


class _FixedAttention:
    """An attention layer in all but two methods, which remember their results."""

    def __init__(self, attention: Any) -> None:
        self._attention = attention
        # The tokens are held too: an address is given to another tensor once they are gone.
        self._known: dict[tuple[str, int], tuple[Tensor, Tensor]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._attention, name)

    def to_k(self, tokens: Tensor) -> Tensor:
        """Return the keys (B,T,C) of tokens (B,T,E)."""
        return self._once("to_k", tokens)

    def to_v(self, tokens: Tensor) -> Tensor:
        """Return the values (B,T,C) of tokens (B,T,E)."""
        return self._once("to_v", tokens)

    def _once(self, name: str, tokens: Tensor) -> Tensor:
        place = (name, id(tokens))
        if place not in self._known:
            self._known[place] = (tokens, getattr(self._attention, name)(tokens))
        return self._known[place][1]
