"""One training run from a configuration to a folder of weights."""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import (
    broadcast_object_list,
    is_deepspeed_available,
    parse_flag_from_env,
)

from jcdm.config import Config
from jcdm.data.dataset import MultiViewDataset
from jcdm.data.drawn import ensure_index
from jcdm.data.loader import build_loader
from jcdm.errors import ConfigError, JCDMError
from jcdm.host_memory import keep_freed_memory
from jcdm.logs import MetricsLog, close_logging, quiet_libraries, setup_logging
from jcdm.records import Batch
from jcdm.training.checkpoint import changed_keys, find_checkpoint, remove_surplus
from jcdm.training.checkpoint_folders import FINAL
from jcdm.training.cpu_attention import float_attention_for_gradients
from jcdm.training.heartbeat import Heartbeat
from jcdm.training.identity import write_final, write_identity
from jcdm.training.kept_predictions import attach_predictions
from jcdm.training.loop import Trainer
from jcdm.training.parts import export_part
from jcdm.training.people import (
    NOTHING,
    checked_cache,
    people_identity,
    training_people,
    unseen_people,
)
from jcdm.training.run_lock import only_training
from jcdm.training.skipped_file import write_findings
from jcdm.training.skipping import find_skipped
from jcdm.training.stages.build import build_stage
from jcdm.training.trackers import closing_trackers, start_trackers
from jcdm.training.watches import build_watches

logger = logging.getLogger(__name__)

LOG_FILE = "log.txt"
METRICS_FILE = "metrics.jsonl"


def run_training(kind: str, config: Config, *, dry_run: bool = False) -> str | None:
    """Train a stage (prior, denoiser or motion) to the end and write `run.out`/final.

    Continues an earlier run of the same folder as `train.resume` says. A signal or the end of
    `train.max_minutes` leaves a saved run without `final`. With `dry_run` nothing is read or
    written: returns a text with the sizes of all parts and objects.

    Errors: JCDMError; ConfigError where `run.out` cannot be written or is in use by another run.
    """
    if dry_run:
        from jcdm.training.plan import describe_plan

        return describe_plan(kind, config)
    require_writable(config.run.out)
    if config.train.num_threads is not None:
        torch.set_num_threads(config.train.num_threads)
    accelerator = new_accelerator(config)
    keep_freed_memory(accelerator.device)
    with only_training(config.run.out, is_main=accelerator.is_main_process):
        _train_logged(kind, config, accelerator)
    return None


def _train_logged(kind: str, config: Config, accelerator: Accelerator) -> None:
    """Train with a log beside the weights; too little memory becomes a line of advice."""
    setup_logging(config.run.out / LOG_FILE, is_main=accelerator.is_main_process)
    try:
        with quiet_libraries(), _fast_attention(accelerator), closing_trackers(accelerator):
            _train(kind, config, accelerator)
    except (RuntimeError, MemoryError) as error:
        from jcdm.training.relief import is_out_of_memory, out_of_memory_line

        if not is_out_of_memory(error):
            raise
        raise JCDMError(out_of_memory_line(kind, config)) from error
    finally:
        close_logging()


def require_writable(out: Path) -> None:
    """Make the folder of the run. Errors: ConfigError when nothing can be written there."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise ConfigError(
            f"run.out={out} cannot be written: {error.strerror or error}. Choose a folder on a "
            "writable disk."
        ) from error


def new_accelerator(config: Config) -> Accelerator:
    """Build the accelerator: devices and processes come from `accelerate launch`.

    Errors: ConfigError for what cannot be had here, such as DeepSpeed where it is not installed.
    """
    precision = config.train.mixed_precision
    refuse_missing_engine(precision)
    with_deepspeed = parse_flag_from_env("ACCELERATE_USE_DEEPSPEED")
    try:
        return Accelerator(
            mixed_precision="no" if with_deepspeed else precision,  # see engine_deepspeed
            gradient_accumulation_steps=config.train.accumulation,
            log_with="tensorboard",
            project_dir=str(config.run.out),
        )
    except ValueError as error:  # such as another precision than before in this process
        raise ConfigError(
            f"train.mixed_precision={precision} cannot be had here: {error}"
        ) from error


def refuse_missing_engine(precision: str) -> None:
    """Raise a ConfigError when accelerate was launched with an engine that cannot run here."""
    if parse_flag_from_env("ACCELERATE_USE_DEEPSPEED"):
        if not is_deepspeed_available():
            raise ConfigError(
                "accelerate was launched with DeepSpeed, which is not installed; it is optional. "
                "Run: pip install deepspeed, or launch with configs/accelerate/multi_gpu.yaml."
            )
        if precision == "fp16":
            raise ConfigError(
                "train.mixed_precision=fp16 needs a loss scaler, which DeepSpeed with float32 "
                "weights has not; expected no or bf16."
            )
    on_cpu = parse_flag_from_env("ACCELERATE_USE_CPU") or not torch.accelerator.is_available()
    if parse_flag_from_env("ACCELERATE_USE_FSDP") and on_cpu:
        raise ConfigError(
            "accelerate was launched with FSDP on CPUs, where it silently starts without. Launch "
            "on GPUs, or with configs/accelerate/cpu.yaml."
        )


def _train(kind: str, config: Config, accelerator: Accelerator) -> None:
    with Heartbeat(accelerator).named_errors():
        trainer, people, unseen = _set_up(kind, config, accelerator)
    start_step = trainer.state.progress.step
    start_trackers(accelerator, start_step)
    batches = _batches(people, config, accelerator, start_step)
    with trainer.heartbeat.watched(), trainer.heartbeat.named_errors():
        reason = trainer.run(
            batches,
            run=config.run.out,
            log=_open_metrics(config, accelerator, start_step),
            watches=build_watches(trainer, unseen) if unseen is not None else (),
        )
    if accelerator.is_main_process:
        _conclude(config, trainer.state.progress.step, reason)
    accelerator.wait_for_everyone()


def _set_up(
    kind: str, config: Config, accelerator: Accelerator
) -> tuple[Trainer, MultiViewDataset, MultiViewDataset | None]:
    """Build all that a run needs, as its checkpoint left it: trainer, people, unseen people."""
    with accelerator.main_process_first():
        view = (config.data.height, config.data.width)
        ensure_index(config.data.index, config.data.draw, size=view)
    checkpoint = _agree_on_checkpoint(config, accelerator)
    stage = build_stage(kind, config, accelerator.device)
    cache = checked_cache(config, stage.clip, getattr(stage, "vae", None))
    found = find_skipped(kind, config, cache=cache, checkpoint=checkpoint)
    skipped = {role: some.skipped for role, some in found.items()}
    size = stage.clip.image_size
    people = training_people(kind, config, size, cache, skipped.get("training", NOTHING))
    attach_predictions(
        people, config, clip=stage.clip, prior=getattr(stage, "prior", None), cache=cache
    )
    unseen = unseen_people(kind, config, size, cache, skipped.get("validation", NOTHING))
    trainer = Trainer(stage, config, accelerator)
    trainer.state.people = people_identity(people.records, config.data.index)
    if accelerator.is_main_process:
        left_out = write_findings(config.run.out, config, found, people.records)
        write_identity(kind, config, checkpoint, trainer.engine.name, left_out)
        logger.info("%s", _opening_line(stage.describe(), config, people, unseen))
    if checkpoint is not None:
        _resume(trainer, checkpoint, config)
    return trainer, people, unseen


def _resume(trainer: Trainer, checkpoint: Path, config: Config) -> None:
    """Go on from a checkpoint; all ranks call it."""
    if changed := changed_keys(checkpoint, config):
        logger.warning("resuming with other values than before of: %s", ", ".join(changed))
    trainer.resume(checkpoint)
    if trainer.accelerator.is_main_process:  # a killed process may have saved and removed nothing
        remove_surplus(config.run.out, trainer.state.progress.step, config)


def _batches(
    people: MultiViewDataset, config: Config, accelerator: Accelerator, start_step: int
) -> Iterator[Batch]:
    """Serve this rank's micro-batches from the step after `start_step` on."""
    return build_loader(
        people,
        batch_size=config.train.batch_size,
        seed=config.run.seed,
        start_step=start_step,
        rank=accelerator.process_index,
        world_size=accelerator.num_processes,
        accumulation=config.train.accumulation,
        num_workers=config.data.num_workers,
    )


def _conclude(config: Config, step: int, reason: str | None) -> None:
    """Export the weights of a run that is done, or say how one that ended early goes on."""
    if reason is None:
        final = export_part(config.run.out, config.run.out / FINAL)
        write_final(config.run.out)
        logger.info("done: averaged weights in %s", final)
        return
    logger.info(
        "ended at step %d of %d, all saved: %s. The same command continues from there.",
        step,
        config.train.num_steps,
        reason,
    )


def _agree_on_checkpoint(config: Config, accelerator: Accelerator) -> Path | None:
    """Let the main rank choose what to resume from, and tell the others."""
    chosen: list[Path | None] = [None]
    if accelerator.is_main_process:
        chosen[0] = find_checkpoint(config.run.out, config.train.resume)
    broadcast_object_list(chosen)
    return chosen[0]


def _opening_line(
    parts: str, config: Config, people: MultiViewDataset, unseen: MultiViewDataset | None
) -> str:
    data = f"data: {len(people)} people of {config.data.split} in {config.data.index}"
    judged = f", {len(unseen)} unseen ones for validation" if unseen is not None else ""
    return f"{parts}; {data}{judged}"


def _open_metrics(config: Config, accelerator: Accelerator, start_step: int) -> MetricsLog | None:
    if not accelerator.is_main_process:
        return None
    return MetricsLog(config.run.out / METRICS_FILE, start_step=start_step)


def _fast_attention(accelerator: Accelerator) -> AbstractContextManager[object]:
    if accelerator.device.type == "cpu" and accelerator.mixed_precision == "bf16":
        return float_attention_for_gradients()
    return nullcontext()
