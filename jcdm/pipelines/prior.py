"""Sampling of the appearance prior: references and poses -> one CLIP embedding a view."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from jcdm.diffusion.guidance import guide
from jcdm.diffusion.schedule import Scheduler, posterior_step, prior_timesteps
from jcdm.models.apm import AppearancePriorTransformer
from jcdm.pipelines.noise import KeyedNoise, NoiseSource
from jcdm.records import AppearancePrior


@torch.no_grad()
def predict_appearance(
    prior: AppearancePriorTransformer,
    scheduler: Scheduler,
    *,
    pose: Tensor,
    reference_appearance: Tensor,
    visible: Tensor,
    present: Tensor | None = None,
    visibility_embeds: Tensor | None = None,
    num_steps: int,
    guidance: float = 1.0,
    noise: NoiseSource | Tensor,
) -> AppearancePrior:
    """Sample the embeddings of all views, from noise to clean, in `num_steps` evaluations.

    pose (B,V,2K), -1 where a joint is missing; reference_appearance (B,V,D), targets from black;
    visible, present (B,V) bool; visibility_embeds (B,V,D) for a prior that needs them; noise: a
    source, or the people's keys (B,) int64. Guidance 1 evaluates the conditions alone; another
    scale contrasts them with the learned null, at twice the cost. All on the prior's device.
    """
    source = KeyedNoise(noise) if isinstance(noise, Tensor) else noise
    conditions = {
        "pose": pose,
        "reference_appearance": reference_appearance,
        "visible": visible,
        "present": present,
        "visibility_embeds": visibility_embeds,
    }
    timesteps = prior_timesteps(scheduler, num_steps)
    shape = reference_appearance.shape[1:]
    latents = source.normal("prior_start", shape).to(pose.device)
    for i, (t, previous) in enumerate(zip(timesteps, [*timesteps[1:], -1], strict=True)):
        clean = _predict_clean(prior, latents, t, conditions, guidance)
        last = previous < 0
        step_noise = None if last else source.normal(f"prior_step_{i}", shape).to(pose.device)
        latents = posterior_step(
            scheduler, latents, clean, step_noise, timestep=t, previous=previous
        )
    return AppearancePrior(embeddings=prior.denormalise(latents), source="apm")


def _predict_clean(
    prior: AppearancePriorTransformer,
    latents: Tensor,
    timestep: int,
    conditions: dict[str, Tensor | None],
    guidance: float,
) -> Tensor:
    """Predict clean normalised embeddings (B,V,D); guided unless the scale is 1."""
    if guidance == 1:
        return prior(latents, timestep, **conditions)
    twice = {key: None if c is None else torch.cat([c, c]) for key, c in conditions.items()}
    drop = torch.arange(2, device=latents.device).repeat_interleave(len(latents)).bool()
    both = prior(torch.cat([latents, latents]), timestep, **twice, drop=drop)
    conditional, unconditional = both.chunk(2)
    return guide(conditional, unconditional, guidance)
