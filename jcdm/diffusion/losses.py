"""Losses of both stages, one number a sample, so that means do not depend on the batch."""

import torch
from einops import reduce
from torch import Tensor


def min_snr_weight(snr: Tensor, gamma: float, prediction_type: str = "v_prediction") -> Tensor:
    """Min-SNR weight, after Hang et al. (2023). snr (B,) >= 0, gamma >= 1; returns (B,) in (0,1].

    For velocities the paper has min(SNR, gamma) above SNR + 1; SNR + 1 above keeps weight 1, not
    0, at the zero-SNR step that is trained on purpose. For noise it is min(SNR, gamma) / SNR.
    """
    shifted = snr + 1 if prediction_type == "v_prediction" else snr
    return torch.clamp(shifted, max=gamma) / shifted


def denoiser_loss(
    prediction: Tensor,
    target: Tensor,
    snr: Tensor,
    *,
    gamma: float | None,
    cell_weight: Tensor | None = None,
    prediction_type: str = "v_prediction",
) -> Tensor:
    """Squared error a sample with min-SNR weight: prediction, target (B,C,gh,gw) -> (B,) float32.

    `cell_weight` (B,1,gh,gw) >= 0 weighs places (0 = an empty cell); the mean is over the weight.
    `gamma` None leaves out the min-SNR weight.
    """
    error = (prediction.float() - target.float()).square()
    if cell_weight is None:
        per_sample = reduce(error, "b c h w -> b", "mean")
    else:
        per_place = reduce(error, "b c h w -> b 1 h w", "mean")
        weighted = reduce(per_place * cell_weight, "b 1 h w -> b", "sum")
        per_sample = weighted / reduce(cell_weight, "b 1 h w -> b", "sum").clamp_min(1e-8)
    if gamma is None:
        return per_sample
    return per_sample * min_snr_weight(snr, gamma, prediction_type)


def prior_loss(prediction: Tensor, target: Tensor, present: Tensor) -> Tensor:
    """Squared error a sample over the views that exist: (B,V,D), present (B,V) -> (B,) float32."""
    per_view = reduce((prediction.float() - target.float()).square(), "b v d -> b v", "mean")
    weight = present.to(per_view)
    return (per_view * weight).sum(1) / weight.sum(1).clamp_min(1)
