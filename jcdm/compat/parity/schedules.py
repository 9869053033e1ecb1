"""Noise schedules, noising, losses and the steps of both samplers."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from jcdm.compat.parity.comparison import EXACT, LOSS, SCHEDULE, STEP, Row, compare
from jcdm.compat.parity.fixtures import FixtureFolder
from jcdm.compat.parity.schedulers import scheduler_row, training_scheduler
from jcdm.config import ScheduleConfig
from jcdm.diffusion.losses import denoiser_loss, min_snr_weight
from jcdm.diffusion.noising import add_noise, velocity_target
from jcdm.diffusion.schedule import (
    Scheduler,
    build_denoiser_scheduler,
    build_prior_scheduler,
    build_prior_train_scheduler,
    posterior_step,
    prior_timesteps,
    published_sampling,
    sampling_timesteps,
    snr,
)

Tensors = dict[str, Tensor]

_SAMPLING_TIMESTEPS = re.compile(r"infer\.timesteps_(\d+)")
_WEIGHTS = re.compile(r"snr\.weights_gamma([\d.]+)")
_LOSS = re.compile(r"v\.loss_gamma([\d.]+).*")
_DDIM = re.compile(r"(ddim\d*)\.model_outputs")
_CPU = torch.device("cpu")


def compare_schedules(fixtures: FixtureFolder, name: str) -> Iterator[Row]:
    """Compare everything of the diffusion room that needs no model."""
    golden, settings = fixtures.tensors(name), fixtures.settings(name)
    yield from _setting_rows(name, settings)
    yield from _table_rows(name, golden)
    yield from _timestep_rows(name, golden)
    yield from _noising_rows(name, golden)
    yield from _loss_rows(name, golden)
    for key in golden:
        if match := _DDIM.fullmatch(key):
            yield from _ddim_rows(name, golden, match[1])
    yield from _unclip_rows(name, golden)


def _setting_rows(name: str, settings: Mapping[str, Any]) -> Iterator[Row]:
    """Compare the settings, not only what follows from them."""
    stage1 = {key: value for key, value in settings["stage1_train"].items() if key != "cls"}
    for key, scheduler, options in (
        ("train_kwargs", training_scheduler(), settings["train_kwargs"]),
        ("infer_kwargs", published_sampling(), settings["infer_kwargs"]),
        ("stage1_train", build_prior_train_scheduler(), stage1),
    ):
        yield scheduler_row(f"{name}/{key}", scheduler, options)


def _table_rows(name: str, golden: Tensors) -> Iterator[Row]:
    """Compare the noise levels of all schedules."""
    configs = {
        "train.alphas_cumprod": ScheduleConfig(),
        "train.alphas_cumprod_before_rescale": ScheduleConfig(zero_terminal_snr=False),
        "infer.alphas_cumprod_before_rescale": ScheduleConfig(
            beta_schedule="linear", zero_terminal_snr=False
        ),
    }
    schedulers: dict[str, Scheduler] = {k: build_denoiser_scheduler(c) for k, c in configs.items()}
    sampling: Scheduler = published_sampling()
    prior: Scheduler = build_prior_scheduler()
    prior_training: Scheduler = build_prior_train_scheduler()
    tables = {key: scheduler.alphas_cumprod for key, scheduler in schedulers.items()} | {
        "infer.alphas_cumprod": sampling.alphas_cumprod,
        "infer.final_alpha_cumprod": sampling.final_alpha_cumprod,
        "stage1.ddpm_alphas_cumprod": prior_training.alphas_cumprod,
        "stage1.unclip_alphas_cumprod": prior.alphas_cumprod,
        "stage1.unclip_betas": prior.betas,
    }
    for key, table in tables.items():
        yield compare(f"{name}/{key}", table, golden[key], SCHEDULE)


def _timestep_rows(name: str, golden: Tensors) -> Iterator[Row]:
    for key in golden:
        if match := _SAMPLING_TIMESTEPS.fullmatch(key):
            found = sampling_timesteps(published_sampling(), int(match[1]), _CPU)
            yield compare(f"{name}/{key}", found, golden[key], EXACT)


def _noising_rows(name: str, golden: Tensors) -> Iterator[Row]:
    levels = training_scheduler().alphas_cumprod
    given = (golden["v.x0"], golden["v.noise"], levels, golden["snr.timesteps"])
    yield compare(f"{name}/v.noisy", add_noise(*given), golden["v.noisy"], STEP)
    yield compare(f"{name}/v.velocity", velocity_target(*given), golden["v.velocity"], STEP)


def _loss_rows(name: str, golden: Tensors) -> Iterator[Row]:
    """Compare signal-to-noise ratios, their weights, and losses; gamma 0 means unweighted."""
    levels = training_scheduler().alphas_cumprod
    ratio = snr(levels, golden["snr.timesteps"])
    yield compare(f"{name}/snr.compute_snr", ratio, golden["snr.compute_snr"], SCHEDULE)
    losses = (golden["v.model_pred"], golden["v.velocity"], ratio)
    plain = denoiser_loss(*losses, gamma=None)
    yield compare(f"{name}/v.per_sample_mse", plain, golden["v.per_sample_mse"], LOSS)
    for key in golden:
        if match := _WEIGHTS.fullmatch(key):
            weights = min_snr_weight(ratio, float(match[1]))
            yield compare(f"{name}/{key}", weights, golden[key], SCHEDULE)
        elif match := _LOSS.fullmatch(key):
            loss = denoiser_loss(*losses, gamma=float(match[1]) or None).mean()
            yield compare(f"{name}/{key}", loss, golden[key], LOSS)


def _ddim_rows(name: str, golden: Tensors, prefix: str) -> Iterator[Row]:
    """Compare the steps of the denoiser's sampler, each from where our previous one led."""
    scheduler: Scheduler = published_sampling()
    outputs = golden[f"{prefix}.model_outputs"]
    timesteps = sampling_timesteps(scheduler, len(outputs), _CPU)
    latents, steps = golden[f"{prefix}.latents0"], []
    for timestep, output in zip(timesteps, outputs, strict=True):
        latents = scheduler.step(output, timestep, latents).prev_sample
        steps.append(latents)
    expected = golden[f"{prefix}.latents_after_step"]
    yield compare(f"{name}/{prefix}.latents_after_step", torch.stack(steps), expected, STEP)
    if f"{prefix}.timesteps" in golden:
        expected = golden[f"{prefix}.timesteps"]
        yield compare(f"{name}/{prefix}.timesteps", timesteps, expected, EXACT)


def _unclip_rows(name: str, golden: Tensors) -> Iterator[Row]:
    """Compare the steps of the prior's sampler; the last one draws no noise."""
    scheduler, outputs = build_prior_scheduler(), golden["unclip.model_outputs"]
    timesteps = prior_timesteps(scheduler, len(outputs))
    noise = golden["unclip.step_noise(last unused)"]
    latents, steps = golden["unclip.latents0"], []
    for i, (timestep, previous) in enumerate(zip(timesteps, [*timesteps[1:], -1], strict=True)):
        latents = posterior_step(
            scheduler,
            latents,
            outputs[i],
            noise[i] if previous >= 0 else None,
            timestep=timestep,
            previous=previous,
        )
        steps.append(latents)
    expected = golden["unclip.latents_after_step"]
    yield compare(f"{name}/unclip.timesteps", timesteps, golden["unclip.timesteps"], EXACT)
    yield compare(f"{name}/unclip.latents_after_step", torch.stack(steps), expected, STEP)
