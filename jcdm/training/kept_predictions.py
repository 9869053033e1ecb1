"""Build, verify and open the prior's predictions that a training configuration names."""

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from jcdm.cache.opening import local_copies, require_local
from jcdm.cache.predict import PredictionsBuilder
from jcdm.cache.predictions import Identity, Predictions
from jcdm.cache.reader import EncoderCache
from jcdm.config import Config
from jcdm.data.dataset import MultiViewDataset
from jcdm.errors import ConfigError
from jcdm.logs import PacedProgress, console_messages, quiet_libraries
from jcdm.models.apm import AppearancePriorTransformer
from jcdm.models.encoders import FrozenCLIPVision
from jcdm.models.identity import weights_hash
from jcdm.processes import process_state
from jcdm.records import Batch
from jcdm.training.encoder_cache import shared_work
from jcdm.training.frames import split_grids
from jcdm.training.identity import write_cache_identity
from jcdm.training.people import NOTHING, checked_cache, training_people
from jcdm.training.skipping import find_skipped
from jcdm.training.stages.appearance import FrozenPrior
from jcdm.training.stages.build import frozen_dtype, frozen_prior

logger = logging.getLogger(__name__)

KINDS = ("denoiser", "motion")
DATA_KEYS = (
    "split",
    "height",
    "width",
    "fit",
    "random_crop",
    "flip_probability",
    "grid_rows",
    "grid_cols",
    "arrangements",
)


def build_predictions(kind: str, config: Config, *, dtype: str = "float32") -> str | None:
    """Build prior.predictions for the people that the stage `kind` trains on.

    Under `accelerate launch` the processes share the work; the first one returns what was done in
    one line. Errors: ConfigError, DataError.
    """
    state = process_state()
    with console_messages(is_main=state.is_main_process):
        builder = _builder(kind, config, dtype)
        report = PacedProgress(logger, "predictions made")
        manifest = builder.build(shared_work(state, config.data.num_workers, report))
        state.wait_for_everyone()
    if manifest is None:
        return None
    write_cache_identity(
        builder.folder,
        config,
        image_encoder=config.encoders.image_encoder,
        prior=config.prior.weights,
    )
    return (
        f"{manifest.num_rows:,} predictions, {manifest.num_people:,} people in "
        f"{config.data.arrangements} arrangements each: {config.prior.predictions}"
    )


def verify_predictions(kind: str, config: Config) -> list[str]:
    """Name every problem of prior.predictions in one line each. Errors: ConfigError, DataError."""
    builder = _builder(kind, config, "float32")
    kept = _open(config)
    kept.require(builder.identity)
    return list(builder.find_problems(kept))


def attach_predictions(
    people: MultiViewDataset,
    config: Config,
    *,
    clip: FrozenCLIPVision,
    prior: AppearancePriorTransformer | None,
    cache: EncoderCache | None,
) -> None:
    """Let people of training come with the predictions that the configuration names, if any.

    Errors: ConfigError naming what they were made for instead, DataError.
    """
    if config.prior.predictions is None or prior is None:
        return
    kept = _open(config)
    kept.require(_identity(config, people, clip=clip, prior=prior, cache=cache))
    people.predictions = kept


def _open(config: Config) -> Predictions:
    assert config.prior.predictions is not None
    return Predictions(config.prior.predictions, local_copies(config))


def _builder(kind: str, config: Config, dtype: str) -> PredictionsBuilder:
    if kind not in KINDS:
        raise ConfigError(f"--predictions is {kind!r}; expected one of {', '.join(KINDS)}.")
    folder = require_local(config.prior.predictions, "prior.predictions")
    device = process_state().device
    with quiet_libraries():
        clip = FrozenCLIPVision.from_folder(config.encoders.image_encoder, frozen_dtype(config))
        prior = frozen_prior(config, clip.to(device), device)
    assert prior is not None, "prior.predictions needs prior.source=apm"
    cache = checked_cache(config, clip)
    found = find_skipped(kind, config, cache=cache, roles=("training",))
    skipped = found["training"].skipped if found else NOTHING
    people = training_people(kind, config, clip.image_size, cache, skipped, with_pictures=False)
    asked = FrozenPrior(prior=prior.eval(), clip=clip, num_steps=config.prior.training_steps)
    return PredictionsBuilder(
        folder=folder,
        identity=_identity(config, people, clip=clip, prior=prior, cache=cache),
        dataset=people,
        predict=_predictor(asked, getattr(people, "num_grids", 1), frozen_dtype(config)),
        dtype=dtype,
    )


def _predictor(asked: FrozenPrior, num_grids: int, dtype: torch.dtype) -> Callable[[Batch], Tensor]:
    """Ask as a step of training does: grids of a sequence one by one, in the run's precision."""

    def predict(batch: Batch) -> Tensor:
        with torch.autocast(asked.clip.device.type, dtype, enabled=dtype != torch.float32):
            found = asked.predict_batch(split_grids(batch, num_grids)).embeddings
        return rearrange(found.float().cpu(), "(b f) v d -> b (f v) d", f=num_grids)

    return predict


def _identity(
    config: Config,
    people: MultiViewDataset,
    *,
    clip: FrozenCLIPVision,
    prior: AppearancePriorTransformer,
    cache: EncoderCache | None,
) -> Identity:
    """Say what the predictions of these people depend on."""
    assert cache is not None, "prior.predictions needs encoders.cache"
    photographs = {view.image for record in people.records for view in record.views}
    poses = [
        [v.keypoints.tolist(), v.keypoint_valid.tolist()] for r in people.records for v in r.views
    ]
    data: dict[str, Any] = {f"data.{name}": getattr(config.data, name) for name in DATA_KEYS}
    visibility = {f"data.visibility.{n}": v for n, v in asdict(config.data.visibility).items()}
    return {
        "prior": weights_hash(prior),
        "image_encoder": weights_hash(clip),
        "prior.training_steps": config.prior.training_steps,
        "run.seed": config.run.seed,
        **data,
        **visibility,
        "encoders.clip_fit": config.encoders.clip_fit,
        "samples": f"{type(people).__name__} of {getattr(people, 'num_grids', 1)}",
        "photographs": cache.contents_hash(sorted(photographs)),
        "poses": hashlib.sha256(json.dumps(poses).encode()).hexdigest(),
    }
