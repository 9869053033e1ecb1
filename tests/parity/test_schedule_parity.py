"""Schedules, noising, losses and scheduler steps against recorded numbers."""

import pytest
import torch
from safetensors.torch import load_file

from jcdm.config import ScheduleConfig
from jcdm.diffusion import noising, schedule
from jcdm.diffusion.losses import denoiser_loss, min_snr_weight


@pytest.fixture(scope="module")
def golden(parity_dir):
    return load_file(parity_dir / "schedules_losses.io.safetensors")


@pytest.fixture()
def trained():
    return schedule.build_denoiser_scheduler(ScheduleConfig())


def close(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_noise_levels(golden, trained):
    published = schedule.published_sampling()
    close(trained.alphas_cumprod, golden["train.alphas_cumprod"])
    close(published.alphas_cumprod, golden["infer.alphas_cumprod"])
    close(published.final_alpha_cumprod, golden["infer.final_alpha_cumprod"])
    unscaled = ScheduleConfig(zero_terminal_snr=False)
    levels = schedule.build_denoiser_scheduler(unscaled).alphas_cumprod
    close(levels, golden["train.alphas_cumprod_before_rescale"])


def test_prior_noise_levels(golden):
    training, sampling = schedule.build_prior_train_scheduler(), schedule.build_prior_scheduler()
    close(training.alphas_cumprod, golden["stage1.ddpm_alphas_cumprod"])
    close(sampling.alphas_cumprod, golden["stage1.unclip_alphas_cumprod"])
    close(sampling.betas, golden["stage1.unclip_betas"])


@pytest.mark.parametrize("num_steps", [5, 20, 30])
def test_sampling_timesteps(golden, num_steps):
    found = schedule.sampling_timesteps(
        schedule.published_sampling(), num_steps, torch.device("cpu")
    )
    assert torch.equal(found, golden[f"infer.timesteps_{num_steps}"])


def test_snr_and_its_weights(golden, trained):
    found = schedule.snr(trained.alphas_cumprod, golden["snr.timesteps"])
    close(found, golden["snr.compute_snr"])
    for gamma in (1, 5):
        close(min_snr_weight(found, gamma), golden[f"snr.weights_gamma{gamma}"])


def test_noising_velocity_and_loss(golden, trained):
    timesteps = golden["snr.timesteps"]
    clean, noise, levels = golden["v.x0"], golden["v.noise"], trained.alphas_cumprod
    close(noising.add_noise(clean, noise, levels, timesteps), golden["v.noisy"])
    velocity = noising.velocity_target(clean, noise, levels, timesteps)
    close(velocity, golden["v.velocity"])
    snr = schedule.snr(levels, timesteps)
    plain = denoiser_loss(golden["v.model_pred"], velocity, snr, gamma=None)
    close(plain, golden["v.per_sample_mse"])
    close(plain.mean(), golden["v.loss_gamma0_plain_mse"])
    weighted = denoiser_loss(golden["v.model_pred"], velocity, snr, gamma=5.0)
    close(weighted.mean(), golden["v.loss_gamma5"])


@pytest.mark.parametrize(("name", "num_steps"), [("ddim", 5), ("ddim30", 30)])
def test_ddim_steps(golden, name, num_steps):
    scheduler = schedule.published_sampling()
    timesteps = schedule.sampling_timesteps(scheduler, num_steps, torch.device("cpu"))
    latents = golden[f"{name}.latents0"]
    for i, t in enumerate(timesteps):
        latents = scheduler.step(golden[f"{name}.model_outputs"][i], t, latents).prev_sample
        close(latents, golden[f"{name}.latents_after_step"][i])


def test_unclip_steps(golden):
    scheduler = schedule.build_prior_scheduler()
    timesteps = schedule.prior_timesteps(scheduler, 5)
    assert timesteps == golden["unclip.timesteps"].tolist()
    latents = golden["unclip.latents0"]
    for i, (t, previous) in enumerate(zip(timesteps, [*timesteps[1:], -1], strict=True)):
        latents = schedule.posterior_step(
            scheduler,
            latents,
            golden["unclip.model_outputs"][i],
            golden["unclip.step_noise(last unused)"][i] if previous >= 0 else None,
            timestep=t,
            previous=previous,
        )
        close(latents, golden["unclip.latents_after_step"][i])


def test_noising_of_recorded_training_steps(parity_dir, trained):
    first = load_file(parity_dir / "train_step_stage1.io.safetensors")
    noise = first["in.base_noise"] + 0.1 * first["in.offset_noise"]
    levels = schedule.build_prior_train_scheduler().alphas_cumprod
    target = first["mid.normalised_target"][:, None]
    close(noising.add_noise(target, noise, levels, first["in.timesteps"]), first["mid.noisy"])

    second = load_file(parity_dir / "train_step_stage2_part1.io.safetensors")
    noise = second["in.base_noise"] + 0.05 * second["in.offset_noise"]
    given = second["in.latents"], noise, trained.alphas_cumprod, second["in.timesteps"]
    close(noising.add_noise(*given), second["mid.noisy_latents"])
    close(noising.velocity_target(*given), second["mid.target_v"])
    snr = schedule.snr(trained.alphas_cumprod, second["in.timesteps"])
    close(min_snr_weight(snr, 5.0), second["mid.loss_weights"])
    loss = denoiser_loss(second["out.pred"], second["mid.target_v"], snr, gamma=5.0)
    close(loss.mean(), second["out.loss"])
