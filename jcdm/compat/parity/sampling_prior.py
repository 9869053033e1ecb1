"""Stage 1: sampling of the appearance prior, with recorded noise and from a seed."""

import re
from collections.abc import Iterator

import torch
from einops import rearrange
from torch import Tensor

from jcdm.compat.parity.comparison import EXACT, FORWARD, LATENTS, Row, compare
from jcdm.compat.parity.fixtures import FixtureFolder, guidance_scales
from jcdm.compat.parity.loading import load_clip, load_prior
from jcdm.compat.parity.prior import prior_inputs
from jcdm.compat.parity.schedulers import scheduler_row
from jcdm.compat.parity.watching import RecordedNoise, watch
from jcdm.diffusion.guidance import guide
from jcdm.diffusion.schedule import build_prior_scheduler, posterior_step, prior_timesteps
from jcdm.models.apm import AppearancePriorTransformer
from jcdm.pipelines.noise import GeneratorNoise, NoiseSource
from jcdm.pipelines.prior import predict_appearance

Tensors = dict[str, Tensor]

_WEIGHTS = re.compile(r"(\w+)\.weights\.safetensors")
_SEEDED = re.compile(r"seed(\d+)\.image_embeds")
_TIMESTEPS = re.compile(r"sched\.timesteps_(\d+)steps")
_INPUTS = {
    "pose": "in.pose",
    "reference_appearance": "in.img_embeds",
    "visibility_embeds": "in.mask_embeds",
}


@torch.no_grad()
def compare_prior_sampling(fixtures: FixtureFolder, name: str) -> Iterator[Row]:
    """Compare sampling of one person's embeddings at every recorded scale and seed."""
    golden, settings = fixtures.tensors(name), fixtures.settings(name)
    prior_name, clip_name = _WEIGHTS.findall(settings["weights"])
    prior, num_steps = load_prior(fixtures, prior_name), settings["num_inference_steps"]
    scheduler = build_prior_scheduler()
    yield scheduler_row(f"{name}/scheduler_config", scheduler, settings["scheduler_config"])
    for key in golden:
        if match := _TIMESTEPS.fullmatch(key):
            timesteps = prior_timesteps(scheduler, int(match[1]))
            yield compare(f"{name}/{key}", timesteps, golden[key], EXACT)
        elif match := _SEEDED.fullmatch(key):
            noise = GeneratorNoise(torch.Generator().manual_seed(int(match[1])), 1)
            embeddings = _sample(prior, golden, noise, num_steps, 1)
            yield compare(f"{name}/{key}", embeddings, golden[key], LATENTS)
    clip = load_clip(fixtures, clip_name)
    zeros = clip.embed(torch.zeros(1, 3, clip.image_size, clip.image_size))
    for tag, scale in guidance_scales(golden, settings):
        found = _sample_and_watch(prior, golden, tag, num_steps, scale)
        found["negative_image_embeds"] = zeros.expand(len(golden["in.latents"]), -1)
        yield from _rows(f"{name}/{tag}", found, golden, tag)


def _sample(
    prior: AppearancePriorTransformer,
    golden: Tensors,
    noise: NoiseSource,
    num_steps: int,
    scale: float,
) -> Tensor:
    """Sample one person's embeddings (V,D) as published: both guided halves conditioned alike."""
    sampled = predict_appearance(
        prior,
        build_prior_scheduler(),
        **prior_inputs(golden, _INPUTS, len(golden["in.latents"])),
        num_steps=num_steps,
        guidance=scale,
        contrast="published",
        noise=noise,
    )
    return sampled.embeddings[0]


def _sample_and_watch(
    prior: AppearancePriorTransformer, golden: Tensors, tag: str, num_steps: int, scale: float
) -> Tensors:
    """Sample with recorded noise; returns what was recorded on the way, by its recorded name."""
    noise = RecordedNoise([golden["in.latents"][None], *golden[f"{tag}.step_noise"][:, None]])
    places = {"latents": (prior, 0), "timesteps": (prior, 1)}
    with watch({"model_out": prior}, places) as seen:
        embeddings = _sample(prior, golden, noise, num_steps, scale)
    halves, timesteps = torch.stack(seen["model_out"]), torch.stack(seen["timesteps"])
    guided = guide(halves[:, 0], halves[:, -1], scale)  # with one half only: that half
    entering = torch.stack(seen["latents"])[:, 0]
    return {
        "model_out": rearrange(halves.flip(1), "n half v d -> n (half v) d"),  # theirs: null first
        "pred_after_guidance": guided,
        "pred_x0_clipped": _clipped(guided, int(timesteps.max())),
        "latents_after_step": torch.cat([entering[1:], prior.normalise(embeddings)[None]]),
        "timesteps": timesteps,
        "image_embeds": embeddings,
    }


def _clipped(predictions: Tensor, noisiest: int) -> Tensor:
    """Clip predictions (n,V,D) as the sampler does: its step to the clean end returns just that.

    From the noisiest timestep, that is; float32 loses digits of the step from the last one.
    """
    return posterior_step(
        build_prior_scheduler(), predictions, predictions, None, timestep=noisiest, previous=-1
    )


def _rows(name: str, found: Tensors, golden: Tensors, tag: str) -> Iterator[Row]:
    tolerances = {"timesteps": EXACT, "negative_image_embeds": FORWARD}
    for key in (key for key in found if f"{tag}.{key}" in golden):
        tolerance = tolerances.get(key, LATENTS)
        yield compare(f"{name}.{key}", found[key], golden[f"{tag}.{key}"], tolerance)
