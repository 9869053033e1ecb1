"""Timesteps, noise and targets: inverse pairs, the slow way, and dependence on keys alone."""

import pytest
import torch

from jcdm.config import ScheduleConfig
from jcdm.diffusion import noising
from jcdm.diffusion.schedule import build_denoiser_scheduler, build_prior_train_scheduler

KEYS = torch.tensor([11, 12, 13])


@pytest.fixture()
def scheduler():
    return build_denoiser_scheduler(ScheduleConfig())


def test_noise_velocity_and_clean_latents_are_inverse_in_float64(scheduler):
    clean, noise = torch.randn(2, 5, 4, 2, 2, dtype=torch.float64)
    timesteps = torch.tensor([0, 250, 500, 750, 999])
    levels = scheduler.alphas_cumprod
    noisy = noising.add_noise(clean, noise, levels, timesteps)
    velocity = noising.velocity_target(clean, noise, levels, timesteps)
    a = levels.double()[timesteps].reshape(5, 1, 1, 1)
    found = a.sqrt() * noisy - (1 - a).sqrt() * velocity
    torch.testing.assert_close(found, clean, atol=1e-12, rtol=0)
    torch.testing.assert_close(a.sqrt() * velocity + (1 - a).sqrt() * noisy, noise)


def test_noising_and_velocity_equal_the_library_s(scheduler):
    clean, noise = torch.randn(2, 4, 4, 2, 2)
    timesteps = torch.tensor([0, 400, 800, 999])
    levels = scheduler.alphas_cumprod
    torch.testing.assert_close(
        noising.add_noise(clean, noise, levels, timesteps),
        scheduler.add_noise(clean, noise, timesteps),
    )
    torch.testing.assert_close(
        noising.velocity_target(clean, noise, levels, timesteps),
        scheduler.get_velocity(clean, noise, timesteps),
    )


def test_a_sample_is_noised_alike_in_any_batch(scheduler):
    latents = torch.randn(3, 4, 4, 6)
    together = noising.noise_latents(latents, KEYS, scheduler, 0.05)
    alone = noising.noise_latents(latents[2:], KEYS[2:], scheduler, 0.05)
    assert torch.equal(together.noisy[2:], alone.noisy)
    assert torch.equal(together.timesteps[2:], alone.timesteps)
    assert not torch.equal(together.target[0], together.target[1])
    assert len(set(together.timesteps.tolist())) > 1


def test_noise_offset_moves_whole_channels(scheduler):
    zeros = torch.zeros(3, 4, 4, 6)
    timesteps = torch.full((3,), 999)
    plain, shifted = (
        noising.noise_latents(zeros, KEYS, scheduler, offset, timesteps=timesteps).noisy
        for offset in (0.0, 0.5)
    )
    shift = shifted - plain
    torch.testing.assert_close(shift, shift[:, :, :1, :1].expand_as(shift), atol=1e-5, rtol=0)
    assert shift[:, :, 0, 0].unique().numel() == 12


def test_an_epsilon_schedule_aims_at_the_noise():
    config = ScheduleConfig(prediction_type="epsilon", zero_terminal_snr=False)
    scheduler = build_denoiser_scheduler(config)
    timesteps = torch.full((3,), 999)
    zeros = torch.zeros(3, 4, 2, 2)
    out = noising.noise_latents(zeros, KEYS, scheduler, 0.0, timesteps=timesteps)
    level = scheduler.alphas_cumprod[999]
    torch.testing.assert_close(out.noisy, (1 - level).sqrt() * out.target)


def test_embeddings_have_one_timestep_a_sample_or_a_view():
    scheduler = build_prior_train_scheduler()
    normalised = torch.randn(3, 4, 8)
    a_sample = noising.noise_embeddings(normalised, KEYS, scheduler, 0.1)
    a_view = noising.noise_embeddings(normalised, KEYS, scheduler, 0.1, per_view=True)
    assert all(len(set(row)) == 1 for row in a_sample.timesteps.tolist())
    assert any(len(set(row)) > 1 for row in a_view.timesteps.tolist())
    assert a_view.noisy.shape == (3, 4, 8)
    assert torch.equal(a_view.target, normalised)


def test_embeddings_are_noised_at_their_own_view_s_level():
    scheduler = build_prior_train_scheduler()
    clean, noise = torch.randn(2, 2, 4, 8)
    timesteps = torch.tensor([[0, 300, 600, 999], [5, 6, 7, 8]])
    found = noising.add_noise(clean, noise, scheduler.alphas_cumprod, timesteps)
    for b in range(2):
        for v in range(4):
            level = scheduler.alphas_cumprod[timesteps[b, v]]
            expected = level.sqrt() * clean[b, v] + (1 - level).sqrt() * noise[b, v]
            torch.testing.assert_close(found[b, v], expected)


def test_embedding_noise_offset_is_one_number_a_view():
    scheduler = build_prior_train_scheduler()
    normalised = torch.zeros(3, 4, 8)
    plain, shifted = (
        noising.noise_embeddings(normalised, KEYS, scheduler, offset).noisy for offset in (0, 0.5)
    )
    shift = shifted - plain
    torch.testing.assert_close(shift, shift[..., :1].expand_as(shift), atol=1e-5, rtol=0)
    assert shift[..., 0].unique().numel() == 12


def test_cubic_timesteps_lie_mostly_high():
    keys = torch.arange(2000)
    cubic, uniform = (noising.draw_timesteps(keys, 100, kind) for kind in ("cubic", "uniform"))
    for drawn in (cubic, uniform):
        assert drawn.dtype == torch.int64 and drawn.min() >= 0 and drawn.max() == 99
    assert cubic.float().median() == pytest.approx(87.5, abs=2)
    assert uniform.float().median() == pytest.approx(49.5, abs=4)
    assert (cubic < 50).float().mean() == pytest.approx(1 - 0.5 ** (1 / 3), abs=0.03)
