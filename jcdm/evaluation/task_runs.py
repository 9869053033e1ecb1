"""Run a test task: load the pipeline, share the items over processes, keep what made them."""

import logging
from dataclasses import asdict, dataclass
from pathlib import Path

from accelerate import PartialState

from jcdm.data.index import index_identity
from jcdm.errors import ConfigError
from jcdm.evaluation.task_painting import paint_task, read_task
from jcdm.logs import close_logging, quiet_libraries, setup_logging
from jcdm.manifest import run_manifest, write_manifest
from jcdm.pipelines.multiview import JCDMPipeline
from jcdm.pipelines.photographs import recommended_options

logger = logging.getLogger(__name__)
MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRun:
    """What is painted by what; settings None = what suits the weights."""

    pipeline: Path
    task: Path
    index: Path
    out: Path
    seed: int = 0
    num_steps: int | None = None
    guidance_scale: float | None = None
    prior_steps: int | None = None
    batch_size: int = 4


def run_task(run: TaskRun) -> bool:
    """Paint a task into `run.out`; tells the one process that goes on to score.

    Started again it paints what is missing. Under `accelerate launch` the items are shared.
    Errors: ConfigError, DataError.
    """
    if run.batch_size < 1:
        raise ConfigError(f"--batch_size is {run.batch_size}; expected 1 or more.")
    state = PartialState()
    options = recommended_options(
        run.pipeline,
        num_steps=run.num_steps,
        guidance_scale=run.guidance_scale,
        prior_steps=run.prior_steps,
    )
    items = read_task(run.task, run.index)
    with quiet_libraries():
        pipeline = JCDMPipeline.from_pretrained(run.pipeline)
    pipeline.set_progress_bar_config(disable=True)
    run.out.mkdir(parents=True, exist_ok=True)
    setup_logging(None, is_main=state.is_main_process)
    try:
        paint_task(
            pipeline.to(state.device),
            items,
            run.out,
            options,
            seed=run.seed,
            batch_size=run.batch_size,
            rank=state.process_index,
            world_size=state.num_processes,
            report=lambda done, count: logger.info("%d of %d items painted", done, count),
        )
    finally:
        close_logging()
    state.wait_for_everyone()
    if state.is_main_process:
        facts = {"task": run.task.name, "pipeline": str(run.pipeline), "num_items": len(items)}
        manifest = run_manifest(
            asdict(options), seed=run.seed, data=index_identity(run.index), **facts
        )
        write_manifest(run.out / MANIFEST, manifest)
    return state.is_main_process
