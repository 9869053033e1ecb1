"""Layers of the appearance prior: attention within a view's tokens, then across the views."""

from diffusers.models.attention import BasicTransformerBlock
from einops import rearrange, repeat
from torch import Tensor, nn

from jcdm.models.attention import CrossPositionBlock


class AcrossViews(nn.Module):
    """Attention across the views, separately for each of the six tokens; zero-initialised.

    forward: tokens (B,V,S,width), present (B,V) bool or None -> (B,V,S,width).
    """

    def __init__(self, width: int, num_heads: int, max_views: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.proj_in = nn.Linear(width, width)
        self.block = CrossPositionBlock(width, num_heads, max_views)
        self.proj_out = nn.Linear(width, width)
        nn.init.zeros_(self.proj_out.weight)
        nn.init.zeros_(self.proj_out.bias)

    def forward(self, tokens: Tensor, present: Tensor | None) -> Tensor:
        """Add to every view's tokens what the other present views tell."""
        batch, _, num_tokens, _ = tokens.shape
        hidden = rearrange(self.proj_in(self.norm(tokens)), "b v s w -> (b s) v w")
        if present is not None:
            present = repeat(present, "b v -> (b s) v", s=num_tokens)
        hidden = rearrange(self.block(hidden, present), "(b s) v w -> b v s w", b=batch)
        return tokens + self.proj_out(hidden)


class PriorLayer(nn.Module):
    """One layer of the prior: attention within each view, then (optionally) across the views."""

    def __init__(
        self, num_heads: int, head_dim: int, *, num_view_heads: int | None, max_views: int
    ) -> None:
        super().__init__()
        width = num_heads * head_dim
        self.within = BasicTransformerBlock(
            width, num_heads, head_dim, activation_fn="gelu", attention_bias=True
        )
        self.across = (
            None if num_view_heads is None else AcrossViews(width, num_view_heads, max_views)
        )

    def forward(self, tokens: Tensor, present: Tensor | None) -> Tensor:
        """Map tokens (B,V,S,width) to the same shape; absent views reach no other view."""
        hidden = self.within(rearrange(tokens, "b v s w -> (b v) s w"))
        tokens = rearrange(hidden, "(b v) s w -> b v s w", b=len(tokens))
        return tokens if self.across is None else self.across(tokens, present)
