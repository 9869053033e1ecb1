"""Load what a test is asked to try: a pipeline, with parts taken from training runs."""

from pathlib import Path
from typing import Any, TypeVar

import torch

from jcdm.config import SampleConfig, ScheduleConfig
from jcdm.diffusion.schedule import (
    build_denoiser_scheduler,
    noise_level_config,
    swap_scheduler,
)
from jcdm.errors import CheckpointError
from jcdm.logs import quiet_libraries
from jcdm.models.denoiser import JCDMDenoiser
from jcdm.models.loading import check_sizes, clear_errors
from jcdm.pipelines.base import ImagePipeline
from jcdm.pipelines.prior import JCDMPriorPipeline
from jcdm.plain import from_plain
from jcdm.reading import UnreadableError, read_yaml, short_reason
from jcdm.training.checkpoint import CONFIG_FILE
from jcdm.training.parts import load_part

Painter = TypeVar("Painter", bound=ImagePipeline)


def load_prior_pipeline(sample: SampleConfig) -> JCDMPriorPipeline:
    """Load the prior pipeline of `sample.pipeline`, its prior replaced by `sample.prior`."""
    with quiet_libraries():
        pipeline = JCDMPriorPipeline.from_pretrained(sample.pipeline, **_prior(sample))
    return _ready(pipeline)


def load_pipeline(kind: type[Painter], sample: SampleConfig) -> Painter:
    """Load a painting pipeline; `sample.prior`, `denoiser` and `scheduler` replace its own.

    A denoiser that lies in its run brings the noise levels that it was trained with.
    """
    parts = _prior(sample)
    if sample.denoiser is not None:
        parts["denoiser"] = load_part(sample.denoiser, "denoiser", "sample.denoiser")
    with quiet_libraries():
        pipeline = kind.from_pretrained(sample.pipeline, **parts)
    if sample.denoiser is not None and (levels := trained_noise_levels(sample.denoiser)):
        pipeline.register_to_config(noise_levels=levels)
        pipeline.choose_schedule(pipeline.config["schedule"])
    if sample.schedule is not None:
        pipeline.choose_schedule(sample.schedule)
    pipeline.scheduler = swap_scheduler(sample.scheduler, pipeline.scheduler)
    return _ready(pipeline)


def trained_noise_levels(denoiser: Path) -> dict[str, Any] | None:
    """Read from a run's configuration which noise levels its denoiser knows; None outside a run.

    denoiser: a run, a checkpoint of it, or its final weights. Errors: CheckpointError.
    """
    folder = denoiser.resolve()
    for file in (folder / CONFIG_FILE, folder.parent / CONFIG_FILE):
        if not file.is_file():
            continue
        try:
            stored = read_yaml(file)["schedule"]
            check_sizes(stored)
            schedule = from_plain(ScheduleConfig, stored)
        except (UnreadableError, KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"{file} names no noise schedule: {short_reason(error)}. Expected the "
                "configuration of a run."
            ) from None
        with clear_errors(file):  # libraries find some of what cannot be computed
            return noise_level_config(build_denoiser_scheduler(schedule))
    return None


def without_motion(denoiser: JCDMDenoiser) -> JCDMDenoiser:
    """Return the same denoiser with its motion modules taken out; it shares all other weights."""
    if denoiser.motion is None:
        return denoiser
    with torch.device("meta"):
        plain = JCDMDenoiser.from_config({**denoiser.config, "motion_config": None})
    kept = {k: v for k, v in denoiser.state_dict().items() if not k.startswith("motion.")}
    plain.load_state_dict(kept, assign=True)
    return plain.eval().requires_grad_(False)


def _prior(sample: SampleConfig) -> dict[str, Any]:
    if sample.prior is None:
        return {}
    return {"prior": load_part(sample.prior, "prior", "sample.prior")}


def _ready(pipeline: Any) -> Any:
    """Move a pipeline to the device it will run on, and keep its progress bars quiet."""
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to("cuda" if torch.cuda.is_available() else "cpu")
