"""Forward diffusion: draw timesteps and noise from the samples' keys, form inputs and targets."""

import torch
from torch import Tensor

from jcdm.diffusion.schedule import Scheduler, snr
from jcdm.records import NoisyEmbeddings, NoisyLatents
from jcdm.seeding import draw_integers, draw_normal, draw_uniform


def _rates(alphas_cumprod: Tensor, timesteps: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
    """Signal and noise rate at each timestep, shaped to multiply `like` from the left."""
    precision = torch.promote_types(like.dtype, torch.float32)
    levels = alphas_cumprod.to(like.device, precision)[timesteps.to(like.device)]
    levels = levels.reshape(levels.shape + (1,) * (like.ndim - levels.ndim))
    return levels.sqrt().to(like.dtype), (1 - levels).sqrt().to(like.dtype)


def add_noise(clean: Tensor, noise: Tensor, alphas_cumprod: Tensor, timesteps: Tensor) -> Tensor:
    """Diffuse: sqrt(a) x0 + sqrt(1-a) noise. clean, noise (B,...); timesteps (B,) or (B,V)."""
    signal_rate, noise_rate = _rates(alphas_cumprod, timesteps, clean)
    return signal_rate * clean + noise_rate * noise


def velocity_target(
    clean: Tensor, noise: Tensor, alphas_cumprod: Tensor, timesteps: Tensor
) -> Tensor:
    """Velocity sqrt(a) noise - sqrt(1-a) x0 (Salimans & Ho, 2022); shapes as in `add_noise`."""
    signal_rate, noise_rate = _rates(alphas_cumprod, timesteps, clean)
    return signal_rate * noise - noise_rate * clean


def offset_noise(noise: Tensor, shared: Tensor, strength: float) -> Tensor:
    """Add `strength` times a shared normal number to noise, so that means are learned too.

    noise (B,...), shared broadcasts against it: one number a channel of a latent, or a view.
    """
    return noise + strength * shared


def draw_timesteps(keys: Tensor, num_timesteps: int, kind: str = "uniform") -> Tensor:
    """Draw one timestep a key: keys (B,) -> (B,) int64 in 0..num_timesteps-1.

    `cubic` takes (1 - u^3) of the way up for a uniform u, so that half of all timesteps lie in the
    highest eighth (after CFLD, Lu et al., 2024).
    """
    if kind == "uniform":
        return draw_integers(keys, "timestep", num_timesteps)
    share = 1 - draw_uniform(keys, "timestep").double() ** 3
    return (share * num_timesteps).long().clamp(max=num_timesteps - 1)


def noise_latents(
    latents: Tensor,
    keys: Tensor,
    scheduler: Scheduler,
    noise_offset: float,
    *,
    timesteps: Tensor | None = None,
) -> NoisyLatents:
    """Noise grid latents (B,C,gh,gw) at timesteps drawn from `keys` (B,), or at given ones (B,).

    `noise_offset` adds one shared normal number a channel, times the offset, so that a picture's
    mean brightness is learned too. The target is the velocity, or the noise where the scheduler's
    prediction_type is epsilon.
    """
    channels = latents.shape[1]
    if timesteps is None:
        timesteps = draw_integers(keys, "timestep", int(scheduler.config.num_train_timesteps))
    noise = draw_normal(keys, "noise", latents.shape[1:])
    if noise_offset > 0:
        shared = draw_normal(keys, "noise_offset", (channels, 1, 1))
        noise = offset_noise(noise, shared, noise_offset)
    noise = noise.to(latents)
    timesteps = timesteps.to(latents.device)
    levels = scheduler.alphas_cumprod
    is_velocity = scheduler.config.prediction_type == "v_prediction"
    return NoisyLatents(
        noisy=add_noise(latents, noise, levels, timesteps),
        target=velocity_target(latents, noise, levels, timesteps) if is_velocity else noise,
        timesteps=timesteps,
        snr=snr(levels, timesteps),
    )


def noise_embeddings(
    normalised: Tensor,
    keys: Tensor,
    scheduler: Scheduler,
    noise_offset: float,
    *,
    per_view: bool = False,
) -> NoisyEmbeddings:
    """Noise normalised embeddings (B,V,D); the target is the clean embedding itself.

    One timestep a sample (sampling has one for all views), or, with `per_view`, one a view as
    published. `noise_offset` adds one shared normal number a view, times the offset.
    """
    num_views = normalised.shape[1]
    shape = (num_views,) if per_view else (1,)
    timesteps = draw_integers(keys, "timestep", int(scheduler.config.num_train_timesteps), shape)
    timesteps = timesteps.expand(-1, num_views).contiguous().to(normalised.device)
    noise = draw_normal(keys, "noise", normalised.shape[1:])
    if noise_offset > 0:
        shared = draw_normal(keys, "noise_offset", (num_views, 1))
        noise = offset_noise(noise, shared, noise_offset)
    noisy = add_noise(normalised, noise.to(normalised), scheduler.alphas_cumprod, timesteps)
    return NoisyEmbeddings(noisy=noisy, target=normalised, timesteps=timesteps)
