"""Attention across positions (views of one person, or frames), shared by the prior and the U-Net.

One inner block serves both; what surrounds it (norms, projections, re-layouts) lives with its user.
"""

from diffusers.models.attention import Attention, FeedForward
from diffusers.models.embeddings import SinusoidalPositionalEmbedding
from torch import Tensor, nn

from jcdm.errors import ConfigError, DataError


def key_mask(present: Tensor) -> Tensor:
    """Make attention's mask from presence: present (N,P) bool -> (N,1,P), True = may be attended.

    A row without any present position would divide by zero in the softmax: it attends everywhere,
    and as nothing in it is present, nothing is read from it.
    """
    return (present | ~present.any(dim=-1, keepdim=True)).unsqueeze(1)


class CrossPositionBlock(nn.Module):
    """Transformer block whose tokens are the positions of one place: V views, or F frames.

    `num_layers` times self-attention over P positions, pre-norm and residual, then one gated
    feed-forward. A sinusoidal table is added to each normalised attention input, as in AnimateDiff
    (Guo et al., 2023). forward: (N,P,dim) -> (N,P,dim).
    """

    def __init__(
        self, dim: int, num_heads: int, max_positions: int, *, num_layers: int = 2
    ) -> None:
        super().__init__()
        if dim % num_heads or dim % 2:
            raise ConfigError(
                f"attention across positions has width {dim} and {num_heads} heads; "
                "expected an even width that the number of heads divides."
            )
        self.max_positions = max_positions
        self.positions = SinusoidalPositionalEmbedding(dim, max_seq_length=max_positions)
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(num_layers))
        self.attentions = nn.ModuleList(
            Attention(dim, heads=num_heads, dim_head=dim // num_heads, bias=False)
            for _ in range(num_layers)
        )
        self.ff_norm = nn.LayerNorm(dim)
        self.ff = FeedForward(dim, activation_fn="geglu")

    def forward(self, hidden: Tensor, present: Tensor | None = None) -> Tensor:
        """Mix positions: hidden (N,P,dim); present (N,P) bool, False = is never attended to."""
        if hidden.shape[1] > self.max_positions:
            raise DataError(
                f"found {hidden.shape[1]} positions (views or frames), but this model was built "
                f"for at most {self.max_positions}. Build it with more positions, or pass fewer."
            )
        mask = None if present is None else key_mask(present)
        for norm, attention in zip(self.norms, self.attentions, strict=True):
            hidden = hidden + attention(self.positions(norm(hidden)), attention_mask=mask)
        return hidden + self.ff(self.ff_norm(hidden))
