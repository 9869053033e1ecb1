"""The appearance prior (APM): predicts the CLIP embedding of every view of a person.

A transformer over six tokens a view: pose, reference appearance, visibility, timestep, noisy
embedding and a learned query; its layers alternate within-view and across-view attention. It is
the unCLIP diffusion prior (Ramesh et al., 2022) conditioned on poses and references, not on text.
"""

from collections.abc import Callable
from typing import Literal, Self

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.embeddings import TimestepEmbedding, Timesteps
from diffusers.models.modeling_utils import ModelMixin
from einops import rearrange
from torch import Tensor, nn

from jcdm.errors import ConfigError, DataError
from jcdm.models.loading import StrictModel
from jcdm.models.prior_layers import PriorLayer

NUM_TOKENS = 6
STATISTICS = ["clip_mean", "clip_std"]


class AppearancePriorTransformer(StrictModel, ModelMixin, ConfigMixin):  # type: ignore[misc]
    """Denoiser of normalised CLIP embeddings, one a view, conditioned on poses and references.

    embed_dim: D. attend_across_views False leaves the across-view blocks out. max_views: room of
    the view position table. visibility_embedding: `learned` (a vector each for reference and
    target) or `clip_constant` (as published: the CLIP embedding of a white or a black image).
    clip_mean, clip_std: scalar statistics of CLIP embeddings; they live in the weights, not in the
    config, so that a loaded prior cannot disagree with what it was trained on.
    """

    _supports_gradient_checkpointing = True
    _no_split_modules = ("PriorLayer",)  # type: ignore[assignment]
    _keep_in_fp32_modules = STATISTICS  # type: ignore[assignment]
    ignore_for_config = STATISTICS

    @register_to_config
    def __init__(
        self,
        *,
        embed_dim: int,
        num_layers: int = 20,
        num_heads: int = 32,
        head_dim: int = 64,
        pose_hidden_dim: int = 512,
        num_keypoints: int = 18,
        attend_across_views: bool = True,
        num_view_heads: int = 8,
        max_views: int = 16,
        visibility_embedding: Literal["learned", "clip_constant"] = "learned",
        clip_mean: float = -0.016,
        clip_std: float = 0.415,
    ) -> None:
        super().__init__()
        width = num_heads * head_dim
        self._build_inputs(embed_dim, width, pose_hidden_dim, 2 * num_keypoints)
        self.visibility_in = _visibility_layer(visibility_embedding, embed_dim, width)
        self.layers = nn.ModuleList(
            PriorLayer(
                num_heads,
                head_dim,
                num_view_heads=num_view_heads if attend_across_views else None,
                max_views=max_views,
            )
            for _ in range(num_layers)
        )
        self.norm_out = nn.LayerNorm(width)
        self.appearance_out = nn.Linear(width, embed_dim)
        self.register_buffer("clip_mean", torch.tensor(float(clip_mean)))
        self.register_buffer("clip_std", torch.tensor(float(clip_std)))
        self.gradient_checkpointing = False

    def _build_inputs(self, embed_dim: int, width: int, pose_hidden: int, num_numbers: int) -> None:
        """Create the layers that make tokens of the inputs, and the learned tokens."""
        self.pose_encoder = nn.Sequential(
            nn.Linear(num_numbers, pose_hidden),
            nn.GELU(),
            nn.LayerNorm(pose_hidden),
            nn.Linear(pose_hidden, embed_dim),
            nn.LayerNorm(embed_dim),
        )
        self.pose_in = nn.Linear(embed_dim, width)
        self.reference_in = nn.Linear(embed_dim, width)
        self.noisy_in = nn.Linear(embed_dim, width)
        self.timestep_waves = Timesteps(width, flip_sin_to_cos=True, downscale_freq_shift=0)
        self.timestep_in = TimestepEmbedding(width, width)
        self.query = nn.Parameter(0.02 * torch.randn(width))
        self.token_positions = nn.Parameter(0.02 * torch.randn(NUM_TOKENS, width))
        self.null_pose = nn.Parameter(torch.zeros(width))
        self.null_reference = nn.Parameter(torch.zeros(width))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Move and cast everything, but keep the CLIP statistics exact in float32."""
        exact = {name: getattr(self, name) for name in STATISTICS}
        super()._apply(fn, recurse)
        for name, value in exact.items():
            moved = getattr(self, name)
            if moved.dtype != value.dtype and not value.is_meta:
                setattr(self, name, value.to(moved.device))
        return self

    def normalise(self, embeddings: Tensor) -> Tensor:
        """Map CLIP embeddings (...,D) to roughly zero mean and unit variance."""
        return (embeddings - self.clip_mean) / self.clip_std

    def denormalise(self, embeddings: Tensor) -> Tensor:
        """Map normalised embeddings (...,D) back to CLIP space. Inverse: `normalise`."""
        return embeddings * self.clip_std + self.clip_mean

    def forward(
        self,
        noisy: Tensor,
        timesteps: Tensor | int,
        *,
        pose: Tensor,
        reference_appearance: Tensor,
        visible: Tensor,
        present: Tensor | None = None,
        visibility_embeds: Tensor | None = None,
        drop: Tensor | None = None,
    ) -> Tensor:
        """Predict the clean normalised embeddings (B,V,D) of all views.

        noisy (B,V,D) normalised; timesteps scalar, (B,) or (B,V); pose (B,V,2K) as x, y in [0,1],
        -1 where a joint is missing; reference_appearance (B,V,D) CLIP space, targets from black;
        visible (B,V) bool; present (B,V) bool, False = attended to by no other view;
        visibility_embeds (B,V,D), needed by `clip_constant` alone; drop (B,) bool, True = learned
        null tokens in place of pose and reference.
        """
        self._check(noisy, pose, reference_appearance, visible)
        noisy_tokens = self.noisy_in(noisy.to(self.noisy_in.weight.dtype))
        parts = (
            *self._condition_tokens(pose, reference_appearance, drop),
            self._visibility_tokens(visible, visibility_embeds),
            self._timestep_tokens(timesteps, noisy),
            noisy_tokens,
            self.query.expand_as(noisy_tokens),
        )
        tokens = torch.stack(parts, dim=2) + self.token_positions
        return self._run_layers(tokens, present).to(noisy.dtype)

    def _condition_tokens(
        self, pose: Tensor, reference: Tensor, drop: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Pose and reference tokens (B,V,width), or their learned nulls where drop (B,) is True."""
        dtype = self.noisy_in.weight.dtype
        pose_tokens = self.pose_in(self.pose_encoder(pose.to(dtype)))
        reference_tokens = self.reference_in(reference.to(dtype))
        if drop is None:
            return pose_tokens, reference_tokens
        dropped = rearrange(drop, "b -> b 1 1")
        return (
            torch.where(dropped, self.null_pose, pose_tokens),
            torch.where(dropped, self.null_reference, reference_tokens),
        )

    def _run_layers(self, tokens: Tensor, present: Tensor | None) -> Tensor:
        """Run all layers on tokens (B,V,6,width) and read the last token: (B,V,D)."""
        for layer in self.layers:
            if torch.is_grad_enabled() and self.gradient_checkpointing:
                tokens = self._gradient_checkpointing_func(layer, tokens, present)  # type: ignore
            else:
                tokens = layer(tokens, present)
        return self.appearance_out(self.norm_out(tokens[:, :, -1]))

    def _visibility_tokens(self, visible: Tensor, visibility_embeds: Tensor | None) -> Tensor:
        """Tokens (B,V,width) that say which views are references."""
        if isinstance(self.visibility_in, nn.Embedding):
            return self.visibility_in(visible.long())
        if visibility_embeds is None:
            raise ConfigError(
                "found no visibility_embeds, but this prior has visibility_embedding="
                "clip_constant; pass the CLIP embeddings of a white (reference) or black (target) "
                "image, (B,V,D)."
            )
        return self.visibility_in(visibility_embeds.to(self.noisy_in.weight.dtype))

    def _timestep_tokens(self, timesteps: Tensor | int, noisy: Tensor) -> Tensor:
        """Tokens (B,V,width) of a scalar, (B,) or (B,V) timestep."""
        batch, views, _ = noisy.shape
        steps = torch.as_tensor(timesteps, device=noisy.device)
        if steps.ndim == 1:
            steps = rearrange(steps, "b -> b 1")
        if steps.ndim and steps.shape not in {(batch, 1), (batch, views)}:
            raise DataError(
                f"timesteps have shape {tuple(steps.shape)}; expected one number, ({batch},) or "
                f"({batch}, {views})."
            )
        waves = self.timestep_waves(steps.expand(batch, views).flatten())
        embedded = self.timestep_in(waves.to(self.noisy_in.weight.dtype))
        return rearrange(embedded, "(b v) w -> b v w", b=batch)

    def _check(self, noisy: Tensor, pose: Tensor, reference: Tensor, visible: Tensor) -> None:
        """Raise a DataError unless the inputs agree on (B,V) and have the widths built for."""
        batch, views, _ = noisy.shape
        numbers, dim = self.pose_encoder[0].in_features, self.noisy_in.in_features
        expected = {
            "noisy": (noisy, (batch, views, dim)),
            "pose": (pose, (batch, views, numbers)),
            "reference_appearance": (reference, (batch, views, dim)),
            "visible": (visible, (batch, views)),
        }
        for name, (tensor, shape) in expected.items():
            if tuple(tensor.shape) != shape:
                raise DataError(f"{name} has shape {tuple(tensor.shape)}, expected {shape}.")


def _visibility_layer(kind: str, embed_dim: int, width: int) -> nn.Module:
    """Build what makes the visibility token: row 0 of the learned table = target, 1 = reference."""
    if kind == "learned":
        return nn.Embedding(2, width)
    if kind == "clip_constant":
        return nn.Linear(embed_dim, width)
    raise ConfigError(
        f"prior.visibility_embedding is {kind!r}; expected 'learned' or 'clip_constant'."
    )
