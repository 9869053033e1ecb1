"""Noise schedules: the one that a denoiser trains and samples with, and the prior's.

The denoiser's is scaled-linear, rescaled to zero terminal SNR, v-prediction, trailing spacing
(Lin et al., 2024, "Common Diffusion Noise Schedules and Sample Steps are Flawed").
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

import torch
from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    LCMScheduler,
    UnCLIPScheduler,
    UniPCMultistepScheduler,
)
from torch import Tensor

from jcdm.config import ScheduleConfig
from jcdm.errors import ConfigError

# diffusers' schedulers share an interface that their common base class does not declare.
Scheduler: TypeAlias = Any

# Samplers that keep the trained noise levels, each with the options that make it do so.
SAMPLERS: dict[str, tuple[type[Scheduler], dict[str, Any]]] = {
    "ddim": (DDIMScheduler, {"clip_sample": False, "set_alpha_to_one": True, "steps_offset": 1}),
    "ddpm": (DDPMScheduler, {"clip_sample": False}),
    "dpmpp_2m": (DPMSolverMultistepScheduler, {"algorithm_type": "dpmsolver++"}),
    "unipc": (UniPCMultistepScheduler, {"solver_type": "bh2"}),
    "euler": (EulerDiscreteScheduler, {}),
    "euler_a": (EulerAncestralDiscreteScheduler, {}),
    "lcm": (LCMScheduler, {"clip_sample": False, "set_alpha_to_one": True}),
}

_NOISE_LEVEL_KEYS = (
    "num_train_timesteps",
    "beta_start",
    "beta_end",
    "beta_schedule",
    "trained_betas",
    "prediction_type",
    "timestep_spacing",
    "rescale_betas_zero_snr",
)

# Option values under which an allowed class would leave the trained noise levels or clip latents.
_REFUSED_OPTIONS: tuple[tuple[str, Any], ...] = (
    ("clip_sample", True),
    ("thresholding", True),
    ("use_karras_sigmas", True),
    ("use_exponential_sigmas", True),
    ("use_beta_sigmas", True),
    ("use_flow_sigmas", True),
    ("use_lu_lambdas", True),
    ("final_sigmas_type", "sigma_min"),
    ("algorithm_type", "dpmsolver"),
    ("algorithm_type", "sde-dpmsolver"),
    ("solver_type", "bh1"),
)


def build_denoiser_scheduler(config: ScheduleConfig) -> DDIMScheduler:
    """Build the denoiser's noise schedule, which training and sampling share."""
    return DDIMScheduler(
        num_train_timesteps=config.num_train_timesteps,
        beta_start=config.beta_start,
        beta_end=config.beta_end,
        beta_schedule=config.beta_schedule,
        prediction_type=config.prediction_type,
        rescale_betas_zero_snr=config.zero_terminal_snr,
        timestep_spacing="trailing",
        **SAMPLERS["ddim"][1],
    )


def published_sampling() -> DDIMScheduler:
    """Build the schedule that the published code samples with: linear, unlike its training.

    It exists to reproduce published weights; a model trained here samples with the schedule
    of `build_denoiser_scheduler`.
    """
    return build_denoiser_scheduler(ScheduleConfig(beta_schedule="linear"))


def build_prior_train_scheduler() -> DDPMScheduler:
    """Build the prior's training schedule: squared cosine, 1000 steps, predicts the clean x0."""
    return DDPMScheduler(
        num_train_timesteps=1000,
        beta_schedule="squaredcos_cap_v2",
        prediction_type="sample",
        clip_sample=False,
    )


def build_prior_scheduler() -> UnCLIPScheduler:
    """Build the prior's sampling schedule (Ramesh et al., 2022): x0 predictions clipped to 10."""
    return UnCLIPScheduler(
        num_train_timesteps=1000,
        variance_type="fixed_small_log",
        clip_sample=True,
        clip_sample_range=10.0,
        prediction_type="sample",
        beta_schedule="squaredcos_cap_v2",
    )


def swap_scheduler(name: str | None, base: Scheduler) -> Scheduler:
    """Build another sampler on the noise levels of `base`; `name` is a key of `SAMPLERS`.

    None keeps `base`. Raises ConfigError for a sampler that would leave those levels.
    """
    if name is None:
        return base
    if name not in SAMPLERS:
        raise ConfigError(
            f"the sampler {name!r} is unknown or does not keep the trained zero-SNR noise levels; "
            f"use one of {', '.join(SAMPLERS)}."
        )
    scheduler_class, options = SAMPLERS[name]
    kept = {key: base.config[key] for key in _NOISE_LEVEL_KEYS if key in base.config}
    return scheduler_class(**kept, **options)


def check_scheduler(scheduler: Scheduler, trained: Scheduler | None = None) -> None:
    """Refuse a sampler that would not follow the trained noise levels.

    Classes outside `SAMPLERS` drop the zero-SNR rescale without a word (Heun, LMS, PNDM, DEIS,
    single-step DPM, KDPM2, SA). With `trained` given, the noise levels must also be equal.
    Raises ConfigError.
    """
    name = type(scheduler).__name__
    allowed = {scheduler_class.__name__ for scheduler_class, _ in SAMPLERS.values()}
    if name not in allowed:
        raise ConfigError(
            f"the scheduler {name} does not keep the trained zero-SNR noise levels; use one of "
            f"{', '.join(sorted(allowed))}, built by jcdm.diffusion.schedule.swap_scheduler."
        )
    for option, value in _REFUSED_OPTIONS:
        if scheduler.config.get(option) == value:
            raise ConfigError(
                f"the scheduler {name} has {option}={value}, which leaves the trained noise levels "
                "or cuts latents; build it by jcdm.diffusion.schedule.swap_scheduler."
            )
    if trained is not None:
        _check_noise_levels(scheduler, trained)


def _check_noise_levels(scheduler: Scheduler, trained: Scheduler) -> None:
    """Raise a ConfigError unless both schedulers have the same noise level at each timestep."""
    name = type(scheduler).__name__
    keys = ["num_train_timesteps", "prediction_type", "rescale_betas_zero_snr"]
    if not isinstance(scheduler, LCMScheduler):  # its steps end at the last timestep anyway
        keys.append("timestep_spacing")
    for key in keys:
        found, expected = scheduler.config.get(key), trained.config.get(key)
        if found != expected:
            raise ConfigError(
                f"the scheduler {name} has {key}={found}, the model was trained with {expected}; "
                "build it by jcdm.diffusion.schedule.swap_scheduler."
            )
    # Samplers in sigmas hold a tiny number instead of the last level's zero.
    found, expected = scheduler.alphas_cumprod[:-1], trained.alphas_cumprod[:-1]
    gap = (found.cpu() - expected.cpu()).abs().max().item()
    if gap > 1e-5:
        raise ConfigError(
            f"the scheduler {name} has other noise levels than the model was trained with "
            f"(alphas_cumprod differ by {gap:.3g}); build it by "
            "jcdm.diffusion.schedule.swap_scheduler."
        )


def noise_level_config(scheduler: Scheduler) -> dict[str, Any]:
    """Return the options that fix a scheduler's noise levels, to store beside the weights."""
    return {key: scheduler.config[key] for key in _NOISE_LEVEL_KEYS if key in scheduler.config}


def scheduler_from_noise_levels(levels: Mapping[str, Any]) -> DDIMScheduler:
    """Rebuild the trained schedule from what `noise_level_config` returned."""
    return DDIMScheduler(**levels, **SAMPLERS["ddim"][1])


def snr(alphas_cumprod: Tensor, timesteps: Tensor) -> Tensor:
    """Signal-to-noise ratio at each timestep: (T,), (B,) -> (B,) float32; 0 at the last level."""
    levels = alphas_cumprod.to(timesteps.device)[timesteps].to(torch.float32)
    return levels / (1 - levels)


def sampling_timesteps(scheduler: Scheduler, num_steps: int, device: torch.device) -> Tensor:
    """Set and return a denoiser sampler's timesteps, descending: (num_steps,) on `device`."""
    limits = scheduler.config
    most = int(limits.get("original_inference_steps") or limits["num_train_timesteps"])
    if not 1 <= num_steps <= most:
        raise ConfigError(f"num_steps is {num_steps}; {type(scheduler).__name__} takes 1..{most}.")
    scheduler.set_timesteps(num_steps, device=device)
    return scheduler.timesteps


def prior_timesteps(scheduler: Scheduler, num_steps: int) -> list[int]:
    """List the prior's sampling timesteps, from the noisiest to 0, evenly spread and rounded."""
    most = int(scheduler.config.num_train_timesteps)
    if not 1 <= num_steps <= most:
        raise ConfigError(f"the prior's number of steps is {num_steps}, expected 1..{most}.")
    if num_steps == 1:  # the scheduler divides by num_steps - 1
        return [most - 1]
    scheduler.set_timesteps(num_steps)
    return [int(t) for t in scheduler.timesteps]


def posterior_step(
    scheduler: Scheduler,
    latents: Tensor,
    clean: Tensor,
    noise: Tensor | None,
    *,
    timestep: int,
    previous: int,
) -> Tensor:
    """Draw the latents of timestep `previous` given those of `timestep` and a prediction of x0.

    Equations 6 and 7 of Ho et al. (2020) between non-adjacent timesteps, with given noise (all
    tensors of one shape; None where `previous` is -1, the clean end), so that draws can follow
    each sample's key. Equals `UnCLIPScheduler.step` with variance_type fixed_small_log.
    """
    levels = scheduler.alphas_cumprod
    level = levels[timestep]
    level_previous = levels[previous] if previous >= 0 else torch.ones(())
    # float32 like the library: 1 - beta loses digits near the noise, and weights expect that.
    adjacent = previous == timestep - 1
    beta = scheduler.betas[timestep] if adjacent else 1 - level / level_previous
    if scheduler.config.clip_sample:
        bound = scheduler.config.clip_sample_range
        clean = clean.clamp(-bound, bound)
    clean_rate = level_previous.sqrt() * beta / (1 - level)
    latents_rate = (1 - beta).sqrt() * (1 - level_previous) / (1 - level)
    mean = clean_rate * clean + latents_rate * latents
    if noise is None:
        return mean
    variance = ((1 - level_previous) / (1 - level) * beta).clamp_min(1e-20)
    return mean + variance.sqrt() * noise
