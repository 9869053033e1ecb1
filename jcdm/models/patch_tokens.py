"""Patches of the reference views as tokens of the U-Net: detail that one embedding cannot hold."""

import torch
from einops import rearrange
from torch import Tensor, nn


class PatchTokens(nn.Module):
    """Makes n*n tokens a view, of a reference its patches, of any other view a learned stand-in.

    So every sample has as many tokens, whichever views are references, and needs no mask. A
    dropped condition has one learned null token in all places. Where in its view a patch lies is
    told by a learned position. n = patch_grid; patch_dim: W.
    """

    def __init__(self, *, patch_grid: int, patch_dim: int, token_dim: int) -> None:
        super().__init__()
        self.num_patches = patch_grid**2
        self.norm = nn.LayerNorm(patch_dim)
        self.projection = nn.Linear(patch_dim, token_dim)
        self.absent = nn.Parameter(torch.randn(token_dim))
        self.null = nn.Parameter(torch.randn(token_dim))
        self.positions = nn.Parameter(0.02 * torch.randn(self.num_patches, token_dim))

    def null_tokens(self, batch: int, num_views: int) -> Tensor:
        """Return the learned token of a dropped condition in all places: (B,V*n*n,E)."""
        return self.null.expand(batch, num_views * self.num_patches, -1)

    def forward(self, patches: Tensor, references: Tensor, places: Tensor) -> Tensor:
        """Make tokens (B,V*n*n,E) of patches (B,V,n*n,W), view by view.

        references (B,V) bool, False = the patches are not read; places (B,V,E): what is added to
        the tokens of a reference to tell which view it is.
        """
        tokens = self.projection(self.norm(patches.to(self.norm.weight.dtype)))
        tokens = tokens + rearrange(places, "b v e -> b v 1 e") + self.positions
        shown = torch.where(rearrange(references, "b v -> b v 1 1"), tokens, self.absent)
        return rearrange(shown, "b v p e -> b (v p) e")
