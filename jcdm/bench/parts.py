"""Where the time of a step from a cache goes: its parts timed apart, one after the other.

The parts are what a step of `jcdm.training.stages` consists of, called one by one with a clock
between them; the denoiser's backward pass in two pieces, through the U-Net and through what
conditions it.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from statistics import median

import torch
from torch import Tensor

from jcdm.bench.loading import build_cache, drawn_index, open_people
from jcdm.bench.models import build_stage, build_vae
from jcdm.bench.results import Fact, Goal, Row, Shares
from jcdm.bench.setting import Bench
from jcdm.bench.timing import synchronise
from jcdm.bench.training_step import Learner
from jcdm.data.loader import build_loader
from jcdm.diffusion.guidance import draw_condition_drop
from jcdm.diffusion.losses import denoiser_loss
from jcdm.diffusion.noising import noise_latents
from jcdm.grid import to_grid
from jcdm.records import Batch, Conditioning, NoisyLatents
from jcdm.training.stages.base import encode_latents, encode_references, encoded
from jcdm.training.stages.build import frozen_dtype
from jcdm.training.stages.denoiser import DenoiserStage

DATA, ENCODERS, SAMPLING, UNET = "data", "encoders (cache)", "prior sampling", "U-Net"
CONDITIONS, NOISE, NETWORK = "pose guider and injector", "noise and loss", "prior network"
OPTIMIZER = "optimizer and averages"
MOST_OUTSIDE = 0.12
_NUM_WORKERS, _NUM_PEOPLE = 1, 8


class Clock:
    """Adds up the seconds that named parts take on a device."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds: dict[str, float] = {}

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count the time inside the context for a part."""
        synchronise(self.device)
        start = time.perf_counter()
        yield
        synchronise(self.device)
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


def bench_parts(kind: str, bench: Bench) -> Iterator[Row]:
    """Time the parts of a cached step on drawn people that a worker reads meanwhile."""
    stage = build_stage(bench.size, kind, bench.device, mixed_precision=bench.mixed_precision)
    learner, rounds, wholes = Learner(stage, bench.device), [], []
    with _cached_people(kind, bench, learner) as batches:
        for _ in range(1 + bench.num_repeats):
            rounds.append(_time_parts(learner, batches))
            wholes.append(_time_whole(learner, batches))
    found = Shares(
        name=f"{kind}: parts of a cached step",
        seconds={name: median(r[name] for r in rounds[1:]) for name in rounds[0]},
        whole=median(wholes[1:]),
    )
    yield found
    if isinstance(stage, DenoiserStage):
        yield from _shares_outside(kind, found, stage.config.prior.training_steps)


def _shares_outside(kind: str, found: Shares, num_prior_steps: int) -> Iterator[Row]:
    """Say what is not the U-Net's, with predictions kept and with the prior asked.

    And what neither trains nor moves what trains.
    """
    kept = {name: s for name, s in found.seconds.items() if name != SAMPLING}
    rest = Shares(name="", seconds=kept, whole=0.0)
    name = f"{kind}: share outside the U-Net, predictions kept"
    if kind == "denoiser":
        yield Goal(name=name, value=1 - rest.share(UNET), bound=MOST_OUTSIDE, at_least=False)
    else:
        yield Fact(name=name, value=1 - rest.share(UNET), unit="")
    yield Fact(
        name=f"{kind}: share outside the U-Net, prior asked in {num_prior_steps} steps",
        value=1 - found.share(UNET),
        unit="",
    )
    yield Fact(
        name=f"{kind}: share outside all that trains and its optimizer, predictions kept",
        value=1 - rest.share(UNET, CONDITIONS, OPTIMIZER),
        unit="",
    )


@contextmanager
def _cached_people(kind: str, bench: Bench, learner: Learner) -> Iterator[Iterator[Batch]]:
    """Draw people, cache what this stage's encoders make of them, and serve batches of them."""
    stage, config = learner.stage, bench.size.config(kind)
    view = (bench.size.height, bench.size.width)
    vae = getattr(stage, "vae", None)
    if vae is None:
        dtype = frozen_dtype(bench.size.config(kind, mixed_precision=bench.mixed_precision))
        vae = build_vae(bench.size, bench.device, dtype)
    with drawn_index(view, _NUM_PEOPLE) as index:
        patch_grid = bench.size.jci.patch_grid
        cache, _ = build_cache(index, view, vae, stage.clip, patch_tokens=patch_grid > 0)
        people = open_people(
            index,
            view,
            clip_size=stage.clip.image_size,
            cache=cache,
            patch_grid=patch_grid,
            with_pictures=kind != "prior",
        )
        batch_size = config.train.batch_size
        yield build_loader(people, batch_size=batch_size, seed=0, num_workers=_NUM_WORKERS)


def _time_whole(learner: Learner, batches: Iterator[Batch]) -> float:
    clock = Clock(learner.device)
    with clock.part("step"):
        learner.step(next(batches))
    return clock.seconds["step"]


def _time_parts(learner: Learner, batches: Iterator[Batch]) -> dict[str, float]:
    clock = Clock(learner.device)
    with clock.part(DATA):
        batch = next(batches)
    if isinstance(learner.stage, DenoiserStage):
        _denoiser_parts(learner, learner.stage, batch, clock)
    else:
        with clock.part(NETWORK):
            with learner.precision():
                loss = learner.stage.step(batch).loss
            loss.backward()
    with clock.part(OPTIMIZER):
        learner.move()
    return clock.seconds


def _denoiser_parts(learner: Learner, stage: DenoiserStage, batch: Batch, clock: Clock) -> None:
    with clock.part(ENCODERS):
        latents = encode_latents(stage.vae, batch, layout="view", grid=stage.denoiser.grid)
        reference, patches = encode_references(stage.clip, batch, stage.denoiser.patch_grid)
        known = encoded(batch, (None, reference), latents, patches)
    with clock.part(SAMPLING), learner.precision():
        assert stage.frozen_prior is not None
        embeddings = stage.frozen_prior.predict(known).embeddings
    train = stage.config.train
    with clock.part(NOISE):
        grids = to_grid(latents[0], stage.denoiser.grid)
        noisy = noise_latents(grids, batch.keys, stage.scheduler, train.noise_offset)
        shares = (train.drop_prior, train.drop_pose, train.drop_all)
        dropped = [drop.to(learner.device) for drop in draw_condition_drop(batch.keys, *shares)]
    with clock.part(CONDITIONS), learner.precision():
        conditioning = stage.denoiser.condition(
            embeddings=embeddings,
            visible=known.visible,
            present=known.present,
            pose_maps=known.pose_maps,
            reference_latents=latents[1],
            drop_prior=dropped[0],
            drop_pose=dropped[1],
            reference_patches=known.reference_patches,
        )
    leaves, resume = _cut(conditioning)
    with clock.part(UNET), learner.precision():
        prediction = stage.denoiser.predict(noisy.noisy, noisy.timesteps, leaves)
    with clock.part(NOISE):
        loss = _loss(prediction, noisy, stage)
    with clock.part(UNET):
        loss.backward()
    with clock.part(CONDITIONS):
        resume()


def _loss(prediction: Tensor, noisy: NoisyLatents, stage: DenoiserStage) -> Tensor:
    gamma = stage.config.train.snr_gamma
    return denoiser_loss(prediction, noisy.target, noisy.snr, gamma=gamma).mean()


def _cut(conditioning: Conditioning) -> tuple[Conditioning, Callable[[], None]]:
    """Cut the graph behind the conditions; also a call that goes back through them afterwards."""
    whole = {field.name: getattr(conditioning, field.name) for field in fields(Conditioning)}
    leaves = {n: t.detach().requires_grad_(t.requires_grad) for n, t in whole.items()}

    def resume() -> None:
        names = [name for name, tensor in whole.items() if tensor.requires_grad]
        if names:
            torch.autograd.backward([whole[n] for n in names], [leaves[n].grad for n in names])

    return Conditioning(**leaves), resume
