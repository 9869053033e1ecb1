"""Training steps: noising, loss, gradients and their norm."""

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from jcdm.compat.official_keys_unet import official_from_denoiser
from jcdm.compat.parity.comparison import (
    FORWARD,
    GRADIENT,
    LOSS,
    SCHEDULE,
    STEP,
    Row,
    agree,
    compare,
)
from jcdm.compat.parity.fixtures import FixtureFolder
from jcdm.compat.parity.gradients import (
    gradient_norm,
    gradient_rows,
    gradients_by_official_name,
)
from jcdm.compat.parity.loading import GRID, load_denoiser, load_prior
from jcdm.compat.parity.prior import by_view, official_gradients, prior_inputs
from jcdm.compat.parity.schedulers import scheduler_row, training_scheduler
from jcdm.diffusion.losses import denoiser_loss, min_snr_weight, prior_loss
from jcdm.diffusion.noising import add_noise, offset_noise, velocity_target
from jcdm.diffusion.schedule import Scheduler, build_prior_train_scheduler, snr
from jcdm.grid import from_grid
from jcdm.models.denoiser import JCDMDenoiser

Tensors = dict[str, Tensor]

_PRIOR_INPUTS = {
    "pose": "in.pose",
    "reference_appearance": "in.source_embeds",
    "visibility_embeds": "in.mask_embeds",
}


def compare_prior_step(fixtures: FixtureFolder, name: str) -> Iterator[Row]:
    """Compare a step of stage 1, where every view has its own timestep."""
    golden, settings = fixtures.tensors(name), fixtures.settings(name)
    weights = settings["weights"].split(".")[0]
    prior, num_views = load_prior(fixtures, weights), fixtures.settings(weights)["num_views"]
    target = prior.normalise(golden["in.image_embeds"])
    noise = _noise(golden, settings)
    scheduler: Scheduler = build_prior_train_scheduler()
    noisy = add_noise(target, noise, scheduler.alphas_cumprod, golden["in.timesteps"])
    found = {
        "mid.noise_with_offset": noise,
        "mid.noisy": noisy,
        "mid.normalised_target": target.flatten(1),
    }
    for key, tensor in found.items():
        yield compare(f"{name}/{key}", tensor, golden[key], STEP)
    inputs = prior_inputs(golden, _PRIOR_INPUTS, num_views)
    timesteps = by_view(golden["in.timesteps"], num_views)[..., 0]
    predicted = prior(by_view(noisy, num_views), timesteps, **inputs)
    yield compare(f"{name}/out.pred", predicted.flatten(0, 1), golden["out.pred"], FORWARD)
    loss = prior_loss(predicted, by_view(target, num_views), inputs["visible"]).mean()
    loss.backward()
    yield compare(f"{name}/out.loss", loss, golden["out.loss"], LOSS)
    yield from gradient_rows(name, official_gradients(prior), golden)
    norm = gradient_norm(prior.parameters())
    yield compare(f"{name}/out.grad_norm_all", norm, golden["out.grad_norm_all"], GRADIENT)


def compare_denoiser_step(fixtures: FixtureFolder, name: str) -> Iterator[Row]:
    """Compare a step of stage 2, part 1: everything but motion modules trains."""
    yield from _denoiser_step(fixtures, name, "denoiser")


def compare_motion_step(fixtures: FixtureFolder, name: str) -> Iterator[Row]:
    """Compare a step of stage 2, part 2: only motion modules train."""
    yield from _denoiser_step(fixtures, name, "motion")


def _denoiser_step(fixtures: FixtureFolder, name: str, stage: Any) -> Iterator[Row]:
    golden, settings = fixtures.tensors(name), fixtures.settings(name)
    denoiser = load_denoiser(fixtures, settings["weights"])
    denoiser.freeze_for(stage)
    scheduler = training_scheduler()
    yield scheduler_row(f"{name}/scheduler_kwargs", scheduler, settings["scheduler_kwargs"])
    levels, timesteps = scheduler.alphas_cumprod, golden["in.timesteps"]
    given = (golden["in.latents"], _noise(golden, settings), levels, timesteps)
    noisy, target, ratio = add_noise(*given), velocity_target(*given), snr(levels, timesteps)
    gamma = settings["snr_gamma"]
    weights = min_snr_weight(ratio, gamma)
    yield compare(f"{name}/mid.noisy_latents", noisy, golden["mid.noisy_latents"], STEP)
    yield compare(f"{name}/mid.target_v", target, golden["mid.target_v"], STEP)
    yield compare(f"{name}/mid.loss_weights", weights, golden["mid.loss_weights"], SCHEDULE)
    predicted = denoiser(noisy, timesteps, **_conditions(golden))
    yield compare(f"{name}/out.pred", predicted, golden["out.pred"], FORWARD)
    loss = denoiser_loss(predicted, target, ratio, gamma=gamma).mean()
    loss.backward()
    yield compare(f"{name}/out.loss", loss, golden["out.loss"], LOSS)
    yield from _trained_rows(name, denoiser, settings, golden)


def _noise(golden: Tensors, settings: Mapping[str, Any]) -> Tensor:
    """Recorded noise with its recorded offset, which our noising draws by itself from keys."""
    return offset_noise(
        golden["in.base_noise"], golden["in.offset_noise"], settings["noise_offset"]
    )


def _conditions(golden: Tensors) -> Tensors:
    """Cut the recorded grids into the views that our denoiser is told of."""
    return {
        "embeddings": golden["in.clip_embeds"],
        "visible": from_grid(golden["in.flag"], GRID).flatten(2).mean(-1).bool(),
        "pose_maps": from_grid(golden["in.pose_u8"] / 255, GRID),
        "reference_latents": from_grid(golden["in.masked_latents"], GRID),
    }


def _trained_rows(
    name: str, denoiser: JCDMDenoiser, settings: Mapping[str, Any], golden: Tensors
) -> Iterator[Row]:
    """Compare what trains, and its gradients."""
    trained = {key: p for key, p in denoiser.named_parameters() if p.requires_grad}
    count = {"number": sum(p.numel() for p in trained.values())}
    yield agree(f"{name}/num_trainable", count, {"number": settings["num_trainable"]})
    if settings["trainable_keys"] != "all":
        listed = dict.fromkeys(settings["trainable_keys"])
        yield agree(f"{name}/trainable_keys", dict.fromkeys(_by_official_name(trained)), listed)
    gradients = gradients_by_official_name(denoiser, _by_official_name)
    yield from gradient_rows(name, gradients, golden)
    norm, key = gradient_norm(trained.values()), "out.grad_norm_trainable"
    yield compare(f"{name}/{key}", norm, golden[key], GRADIENT)


def _by_official_name(state: Mapping[str, Any]) -> dict[str, Any]:
    """Rename tensors of a denoiser to the names of the published trainer."""
    official = official_from_denoiser(state)
    parts = {
        "denoising_unet": official.unet,
        "pose_guider": official.pose_guider,
        "linear_emb": official.linear_emb,
    }
    return {f"{part}.{key}": value for part, keys in parts.items() for key, value in keys.items()}
