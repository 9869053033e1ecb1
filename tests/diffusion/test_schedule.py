"""The denoiser's schedule, the samplers that may replace it, and the prior's sampling step."""

import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DEISMultistepScheduler,
    DPMSolverMultistepScheduler,
    DPMSolverSinglestepScheduler,
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
    KDPM2DiscreteScheduler,
    LMSDiscreteScheduler,
    PNDMScheduler,
    SASolverScheduler,
    UniPCMultistepScheduler,
)

from jcdm.config import ScheduleConfig
from jcdm.diffusion import schedule
from jcdm.errors import ConfigError


@pytest.fixture()
def trained() -> DDIMScheduler:
    return schedule.build_denoiser_scheduler(ScheduleConfig())


def test_the_last_level_has_no_signal_and_the_first_has_almost_no_noise(trained):
    levels = trained.alphas_cumprod
    assert levels[-1] == 0
    assert levels[0] > 0.999
    assert (levels.diff() < 0).all()


def test_zero_terminal_snr_can_be_left_out():
    config = ScheduleConfig(zero_terminal_snr=False)
    assert schedule.build_denoiser_scheduler(config).alphas_cumprod[-1] > 0.001


def test_sampling_starts_at_the_last_timestep(trained):
    for num_steps in (1, 4, 30):
        timesteps = schedule.sampling_timesteps(trained, num_steps, torch.device("cpu"))
        assert timesteps[0] == 999
        assert len(timesteps) == num_steps


def test_published_sampling_differs_from_training(trained):
    published = schedule.published_sampling()
    assert trained.alphas_cumprod[500] == pytest.approx(0.241, abs=1e-3)
    assert published.alphas_cumprod[500] == pytest.approx(0.142, abs=1e-3)


def denoise_with_oracle(scheduler, clean, num_steps):
    """Sample with a model that knows x0 and answers with the exact velocity."""
    generator = torch.Generator().manual_seed(3)
    timesteps = schedule.sampling_timesteps(scheduler, num_steps, torch.device("cpu"))
    noise = torch.randn(clean.shape, generator=generator)
    latents = noise * scheduler.init_noise_sigma
    levels = scheduler.alphas_cumprod.double()
    takes_generator = not isinstance(scheduler, UniPCMultistepScheduler)
    options = {"generator": generator} if takes_generator else {}
    for t in timesteps:
        scaled = scheduler.scale_model_input(latents, t).double()
        level = levels[int(t.round())]
        noise_rate = (1 - level).sqrt()
        velocity = (level.sqrt() * scaled - clean.double()) / noise_rate
        latents = scheduler.step(velocity.float(), t, latents, **options).prev_sample
    return latents


@pytest.mark.parametrize("num_steps", [1, 5, 20])
@pytest.mark.parametrize("name", list(schedule.SAMPLERS))
def test_every_allowed_sampler_finds_the_clean_latents_of_an_oracle(trained, name, num_steps):
    clean = torch.randn(2, 4, 4, 6, generator=torch.Generator().manual_seed(0))
    scheduler = schedule.swap_scheduler(name, trained)
    schedule.check_scheduler(scheduler, trained)
    found = denoise_with_oracle(scheduler, clean, num_steps)
    torch.testing.assert_close(found, clean, atol=2e-3, rtol=0)


@pytest.mark.parametrize("name", list(schedule.SAMPLERS))
def test_swapping_there_and_back_keeps_the_noise_levels(trained, name):
    there = schedule.swap_scheduler(name, trained)
    back = schedule.swap_scheduler("ddim", there)
    assert torch.equal(back.alphas_cumprod, trained.alphas_cumprod)
    assert back.config.timestep_spacing == "trailing"


@pytest.mark.parametrize(
    "scheduler_class",
    [
        HeunDiscreteScheduler,
        LMSDiscreteScheduler,
        PNDMScheduler,
        DEISMultistepScheduler,
        DPMSolverSinglestepScheduler,
        KDPM2DiscreteScheduler,
        SASolverScheduler,
    ],
)
def test_samplers_that_drop_the_rescale_are_refused_by_name(scheduler_class):
    with pytest.raises(ConfigError, match=scheduler_class.__name__) as error:
        schedule.check_scheduler(scheduler_class())
    assert "\n" not in str(error.value)


def test_an_unknown_sampler_name_lists_the_known_ones(trained):
    with pytest.raises(ConfigError, match=r"'heun'.*dpmpp_2m"):
        schedule.swap_scheduler("heun", trained)


@pytest.mark.parametrize(
    ("scheduler_class", "change", "word"),
    [
        (UniPCMultistepScheduler, {"solver_type": "bh1"}, "bh1"),
        (EulerDiscreteScheduler, {"rescale_betas_zero_snr": False}, "rescale_betas_zero_snr"),
        (EulerDiscreteScheduler, {"prediction_type": "epsilon"}, "prediction_type"),
        (EulerDiscreteScheduler, {"timestep_spacing": "leading"}, "timestep_spacing"),
        (EulerDiscreteScheduler, {"use_karras_sigmas": True}, "use_karras_sigmas"),
        (EulerDiscreteScheduler, {"beta_schedule": "linear"}, "alphas_cumprod"),
        (DPMSolverMultistepScheduler, {"final_sigmas_type": "sigma_min"}, "final_sigmas_type"),
        (DDIMScheduler, {"clip_sample": True}, "clip_sample"),
    ],
)
def test_other_noise_levels_than_the_trained_ones_are_refused(
    trained, scheduler_class, change, word
):
    kept = schedule.noise_level_config(trained)
    with pytest.raises(ConfigError, match=word):
        schedule.check_scheduler(scheduler_class(**{**kept, **change}), trained)


def test_stored_noise_levels_rebuild_the_schedule(trained):
    stored = schedule.noise_level_config(schedule.swap_scheduler("euler", trained))
    rebuilt = schedule.scheduler_from_noise_levels(stored)
    assert torch.equal(rebuilt.alphas_cumprod, trained.alphas_cumprod)


def test_snr_is_signal_over_noise(trained):
    timesteps = torch.tensor([0, 500, 999])
    levels = trained.alphas_cumprod[timesteps]
    torch.testing.assert_close(
        schedule.snr(trained.alphas_cumprod, timesteps), levels / (1 - levels)
    )
    assert schedule.snr(trained.alphas_cumprod, timesteps)[-1] == 0


@pytest.mark.parametrize(("name", "num_steps"), [("ddim", 0), ("ddim", 1001), ("lcm", 51)])
def test_a_number_of_steps_out_of_range_is_one_line(trained, name, num_steps):
    scheduler = schedule.swap_scheduler(name, trained)
    with pytest.raises(ConfigError, match=f"num_steps is {num_steps}"):
        schedule.sampling_timesteps(scheduler, num_steps, torch.device("cpu"))


def test_prior_timesteps_end_at_zero_and_one_step_is_allowed():
    scheduler = schedule.build_prior_scheduler()
    assert schedule.prior_timesteps(scheduler, 4) == [999, 666, 333, 0]
    assert schedule.prior_timesteps(scheduler, 1) == [999]
    with pytest.raises(ConfigError, match="number of steps is 0"):
        schedule.prior_timesteps(scheduler, 0)


@pytest.mark.parametrize(("timestep", "previous"), [(999, 749), (500, 499), (250, 0), (0, -1)])
def test_the_posterior_step_equals_the_library_s(timestep, previous):
    scheduler = schedule.build_prior_scheduler()
    generator = torch.Generator().manual_seed(1)
    latents, clean = 6 * torch.randn(2, 1, 3, 8, generator=generator)
    noise = torch.randn(1, 3, 8, generator=torch.Generator().manual_seed(7))
    expected = scheduler.step(
        clean,
        timestep,
        latents,
        prev_timestep=previous,
        generator=torch.Generator().manual_seed(7),
    ).prev_sample
    found = schedule.posterior_step(
        scheduler,
        latents,
        clean,
        noise if previous >= 0 else None,
        timestep=timestep,
        previous=previous,
    )
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_one_prior_step_returns_the_prediction():
    scheduler = schedule.build_prior_scheduler()
    clean = torch.rand(2, 3)
    found = schedule.posterior_step(
        scheduler, torch.randn(2, 3), clean, None, timestep=999, previous=-1
    )
    torch.testing.assert_close(found, clean)
