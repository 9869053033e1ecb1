"""Joint condition injection (JCI): the V appearance embeddings become the U-Net's tokens."""

import torch
from diffusers.models.attention import Attention, FeedForward
from einops import rearrange
from torch import Tensor, nn

from jcdm.config import JCIConfig
from jcdm.errors import ConfigError, DataError
from jcdm.models.attention import key_mask
from jcdm.models.patch_tokens import PatchTokens


class _InjectorLayer(nn.Module):
    """Queries attend to the views, then to each other, then a feed-forward; pre-norm, residual."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        head_dim = width // num_heads
        self.view_norm = nn.LayerNorm(width)
        self.view_attention = Attention(width, width, heads=num_heads, dim_head=head_dim)
        self.self_norm = nn.LayerNorm(width)
        self.self_attention = Attention(width, heads=num_heads, dim_head=head_dim)
        self.ff_norm = nn.LayerNorm(width)
        self.ff = FeedForward(width, activation_fn="geglu")

    def forward(self, tokens: Tensor, views: Tensor, mask: Tensor | None) -> Tensor:
        """Update tokens (B,T,E) from views (B,V,E); mask (B,1,V), True = may be attended."""
        query = self.view_norm(tokens)
        tokens = tokens + self.view_attention(query, views, attention_mask=mask)
        tokens = tokens + self.self_attention(self.self_norm(tokens))
        return tokens + self.ff(self.ff_norm(tokens))


class JointConditionInjector(nn.Module):
    """T learned queries read V appearance embeddings, whatever V is, into T tokens of width E.

    Views are known by a learned position and by whether they are references. The null token set,
    which replaces the tokens of a dropped condition, is learned. In the manner of the Perceiver
    resampler (Alayrac et al., 2022). max_views: room of the position table. With into_cells every
    view is a query besides, and V tokens of the views' own follow the T tokens. With patch_grid n,
    n*n tokens a view come last, made of the references' patches of width patch_dim.
    """

    def __init__(
        self,
        *,
        appearance_dim: int,
        token_dim: int,
        num_tokens: int = 16,
        num_heads: int = 8,
        num_layers: int = 2,
        max_views: int = 16,
        into_cells: bool = False,
        patch_grid: int = 0,
        patch_dim: int | None = None,
    ) -> None:
        super().__init__()
        if token_dim % num_heads:
            raise ConfigError(
                f"jci.num_heads is {num_heads}, which does not divide the token width "
                f"unet.cross_attention_dim = {token_dim}; choose a divisor."
            )
        self.norm_in = nn.LayerNorm(appearance_dim)
        self.project_in = nn.Linear(appearance_dim, token_dim)
        self.view_positions = nn.Embedding(max_views, token_dim)
        self.visibility = nn.Embedding(2, token_dim)
        self.norm_views = nn.LayerNorm(token_dim)
        self.queries = nn.Parameter(torch.randn(num_tokens, token_dim))
        self.null = nn.Parameter(torch.randn(num_tokens, token_dim))
        self.layers = nn.ModuleList(_InjectorLayer(token_dim, num_heads) for _ in range(num_layers))
        self.norm_out = nn.LayerNorm(token_dim)
        self.project_out = nn.Linear(token_dim, token_dim)
        self.own_null = nn.Parameter(torch.randn(1, token_dim)) if into_cells else None
        self.patch_grid = patch_grid
        self.patches: PatchTokens | None = None
        if patch_grid:
            if patch_dim is None:
                raise ConfigError(
                    f"jci.patch_grid is {patch_grid}, but no patch_dim was given; expected the "
                    "image encoder's hidden size."
                )
            self.patches = PatchTokens(
                patch_grid=patch_grid, patch_dim=patch_dim, token_dim=token_dim
            )

    def null_tokens(self, batch: int, num_views: int) -> Tensor:
        """Return the learned tokens of a dropped condition (B,T,E), the same for any views.

        With into_cells and patches (B,T+V+V*n*n,E).
        """
        null = [self.null.expand(batch, -1, -1)]
        if self.own_null is not None:
            null.append(self.own_null.expand(batch, num_views, -1))
        if self.patches is not None:
            null.append(self.patches.null_tokens(batch, num_views))
        return torch.cat(null, dim=1)

    def own_tokens(self, tokens: Tensor, num_views: int) -> Tensor | None:
        """Return what is each view's own of all tokens: (B,V,E), None without into_cells."""
        if self.own_null is None:
            return None
        return tokens[:, len(self.queries) :][:, :num_views]

    def forward(
        self,
        embeddings: Tensor,
        visible: Tensor,
        *,
        present: Tensor | None = None,
        drop: Tensor | None = None,
        reference_patches: Tensor | None = None,
    ) -> Tensor:
        """Make tokens (B,T,E) of embeddings (B,V,D) in CLIP space.

        visible (B,V) bool, True = reference view; present (B,V) bool, False = is never read;
        drop (B,) bool, True = the learned null tokens. With into_cells V tokens more, with patches
        V*n*n more, of reference_patches (B,V,n*n,W), which are read of references only. Raises
        DataError for too many views.
        """
        batch, num_views, _ = embeddings.shape
        if num_views > self.view_positions.num_embeddings:
            raise DataError(
                f"found {num_views} views, but this injector was built for at most "
                f"{self.view_positions.num_embeddings}. Build it with a larger max_views."
            )
        views = self.project_in(self.norm_in(embeddings.to(self.norm_in.weight.dtype)))
        views = views + self.view_positions.weight[:num_views] + self.visibility(visible.long())
        views = self.norm_views(views)
        mask = None if present is None else key_mask(present)
        tokens = self.queries.expand(batch, -1, -1)
        if self.own_null is not None:
            tokens = torch.cat([tokens, _replace_absent(views, self.own_null, present)], dim=1)
        for layer in self.layers:
            tokens = layer(tokens, views, mask)
        tokens = self.project_out(self.norm_out(tokens))
        if self.patches is not None:
            assert reference_patches is not None, "this injector reads the references' patches"
            references = visible if present is None else visible & present
            places = self.view_positions.weight[:num_views] + self.visibility(visible.long())
            more = self.patches(reference_patches, references, places)
            tokens = torch.cat([tokens, more], dim=1)
        return _replace_dropped(tokens, self.null_tokens(batch, num_views), drop)


class LinearInjector(nn.Module):
    """The published injection: one Linear, one token a view; its null is all-zero tokens."""

    patch_grid = 0

    def __init__(self, *, appearance_dim: int, token_dim: int) -> None:
        super().__init__()
        self.projection = nn.Linear(appearance_dim, token_dim)

    def null_tokens(self, batch: int, num_views: int) -> Tensor:
        """Return the zero tokens (B,V,E) of a dropped condition, in the weights' dtype."""
        return self.projection.weight.new_zeros(batch, num_views, self.projection.out_features)

    def own_tokens(self, tokens: Tensor, num_views: int) -> None:
        """Return None: the published model adds nothing to the views' cells."""

    def forward(
        self,
        embeddings: Tensor,
        visible: Tensor,
        *,
        present: Tensor | None = None,
        drop: Tensor | None = None,
    ) -> Tensor:
        """Make tokens (B,V,E) of embeddings (B,V,D) in CLIP space.

        visible (B,V) is not read: the published model does not tell references from targets here.
        present (B,V) bool, False = a zero token; drop (B,) bool, True = zero tokens only.
        """
        tokens = self.projection(embeddings.to(self.projection.weight.dtype))
        null = self.null_tokens(*embeddings.shape[:2])
        tokens = _replace_absent(tokens, null, present)
        return _replace_dropped(tokens, null, drop)


def _replace_absent(tokens: Tensor, stand_in: Tensor, present: Tensor | None) -> Tensor:
    """Take the stand-in for the tokens (B,V,E) of views where present (B,V) is False."""
    return tokens if present is None else torch.where(present.unsqueeze(-1), tokens, stand_in)


def _replace_dropped(tokens: Tensor, null: Tensor, drop: Tensor | None) -> Tensor:
    """Take the null tokens where drop (B,) is True."""
    return tokens if drop is None else torch.where(rearrange(drop, "b -> b 1 1"), null, tokens)


def build_injector(
    kind: str,
    *,
    appearance_dim: int,
    token_dim: int,
    num_tokens: int = 16,
    num_heads: int = 8,
    num_layers: int = 2,
    max_views: int = 16,
    into_cells: bool = False,
    patch_grid: int = 0,
    patch_dim: int | None = None,
) -> JointConditionInjector | LinearInjector:
    """Build the injector that `jci.kind` names; `linear` has no other setting than its widths.

    patch_dim: width of the image encoder's patch tokens, for patch_grid above 0. Errors:
    ConfigError.
    """
    JCIConfig(kind=kind, into_cells=into_cells, patch_grid=patch_grid)  # type: ignore[arg-type]  # checks that they agree
    if kind == "linear":
        return LinearInjector(appearance_dim=appearance_dim, token_dim=token_dim)
    if kind == "cross_attention":
        return JointConditionInjector(
            appearance_dim=appearance_dim,
            token_dim=token_dim,
            num_tokens=num_tokens,
            num_heads=num_heads,
            num_layers=num_layers,
            max_views=max_views,
            into_cells=into_cells,
            patch_grid=patch_grid,
            patch_dim=patch_dim,
        )
    raise ConfigError(f"jci.kind is {kind!r}; expected 'cross_attention' or 'linear'.")
