"""Checkpoints: save, find and load the whole state of a run, as safetensors and JSON only."""

import json
import logging
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jcdm.config import Config
from jcdm.errors import CheckpointError, ConfigError
from jcdm.folders import remove_folder, remove_leftovers, verify_folder, write_folder
from jcdm.plain import leaves, to_plain, to_yaml
from jcdm.reading import UnreadableError, read_yaml
from jcdm.training.checkpoint_folders import (
    FOLDER,
    STATE_FILE,
    list_checkpoints,
    look_into,
    newest_whole,
    read_state,
)
from jcdm.training.engine import ENGINE_FOLDER, OPTIMIZER_FILE, Gathered, PlainEngine
from jcdm.training.retention import surplus_checkpoints
from jcdm.training.state import RunState
from jcdm.training.weights import check_tensors, read_tensors, write_tensors

logger = logging.getLogger(__name__)

EMA_FILE = "ema.safetensors"
CONFIG_FILE = "config.yaml"
_NOT_COMPARED = (
    *("run.out", "data.num_workers", "train.resume", "train.num_threads"),
    *("train.max_minutes", "train.hang_minutes", "train.max_skipped_in_row"),
    *("train.keep_checkpoints", "train.keep_best"),
)
_SPARE = ".engine-state"


def save_checkpoint(run: Path, state: RunState, config: Config) -> Path:
    """Write the state below `run`, then remove checkpoints that are neither recent nor best.

    All processes call it; the main one writes, the others add what an engine shares out.
    """
    engine = state.engine
    accelerator = engine.accelerator
    target = run / FOLDER / f"step_{state.progress.step:07d}"
    spare = target.with_name(_SPARE)
    if accelerator.is_main_process:
        remove_leftovers(target.parent)
        shutil.rmtree(spare, ignore_errors=True)
    accelerator.wait_for_everyone()
    gathered = engine.gather(state, spare)
    if accelerator.is_main_process:
        write_folder(target, lambda folder: _fill(folder, state, gathered, config))
        remove_surplus(run, state.progress.step, config)
    accelerator.wait_for_everyone()
    return target


def remove_surplus(run: Path, step: int, config: Config) -> None:
    """Remove what `train.keep_checkpoints` and `train.keep_best` do not keep.

    Bytes are not read again for it: names and sizes say what is whole. Checkpoints of later steps
    were passed over at the resume; they neither count nor go, and their steps come again.
    """
    found = [look_into(at, f, checksums=False) for at, f in list_checkpoints(run) if at <= step]
    train = config.train
    for old in surplus_checkpoints(
        found, keep_last=train.keep_checkpoints, keep_best=train.keep_best
    ):
        remove_folder(old.folder)


def _fill(folder: Path, state: RunState, gathered: Gathered, config: Config) -> None:
    gathered.module.save_pretrained(folder / state.part)  # type: ignore[operator]
    write_tensors(folder / EMA_FILE, gathered.averages)
    if gathered.moments is not None:
        write_tensors(folder / OPTIMIZER_FILE, gathered.moments)
    if gathered.folder is not None:
        shutil.move(gathered.folder, folder / ENGINE_FOLDER)
    counters = json.dumps(_counters(state), indent=2)
    (folder / STATE_FILE).write_text(f"{counters}\n", encoding="utf-8")
    (folder / CONFIG_FILE).write_text(to_yaml(config, folder), encoding="utf-8")


def _counters(state: RunState) -> dict[str, object]:
    return {
        "part": state.part,
        "engine": state.engine.name,
        "progress": state.progress.to_json(),
        "ema": {"num_updates": state.averages.num_updates},
        "scaler": None if state.scaler is None else state.scaler.state_dict(),
        "samples_a_step": state.samples_a_step,
        "saved": datetime.now(UTC).isoformat(timespec="seconds"),
        "people": state.people,
    }


def find_checkpoint(run: Path, resume: str) -> Path | None:
    """Choose what to resume from: `auto` = the newest whole one of the run, `never`, or a folder.

    A damaged checkpoint is passed over with a warning that names it; what a killed process left
    half done is cleaned up. Errors: CheckpointError when none is whole or the folder named is not;
    ConfigError where a run would mix with another one.
    """
    remove_leftovers(run / FOLDER)
    existing = list_checkpoints(run)
    if resume == "auto":
        return newest_whole(existing)
    if resume == "never":
        if existing:
            raise ConfigError(
                f"train.resume=never, but {run} holds {len(existing)} checkpoints of an earlier "
                "run. Choose another run.out, or train.resume=auto to continue."
            )
        return None
    return _named_checkpoint(Path(resume), existing)


def _named_checkpoint(folder: Path, existing: list[tuple[int, Path]]) -> Path:
    if not folder.is_dir():
        raise CheckpointError(
            f"train.resume={folder} is no folder; expected auto, never or a checkpoint such as "
            "outputs/run/checkpoints/step_0001000."
        )
    verify_folder(folder)
    if existing and existing[-1][1].resolve() != folder.resolve():
        raise ConfigError(
            f"train.resume={folder}, but run.out holds other checkpoints up to step "
            f"{existing[-1][0]}. Choose another run.out, or remove them."
        )
    return folder


def load_checkpoint(folder: Path, state: RunState) -> None:
    """Fill the state from a verified checkpoint: weights, averages, moments, counters.

    All processes call it. Another number of them continues with the same samples as long as they
    see equally many a step together, batch_size x accumulation x processes; else it is logged.
    """
    saved = read_state(folder)
    if saved["part"] != state.part:
        raise CheckpointError(
            f"{folder} is a checkpoint of the {saved['part']}, expected one of the {state.part}. "
            "Choose another run.out or train.resume."
        )
    if (found := saved.get("engine", PlainEngine.name)) != state.engine.name:
        raise CheckpointError(
            f"{folder} was saved by a run with engine {found}, this launch has {state.engine.name} "
            "and cannot read its moments. Launch as before, or start a new run from its weights."
        )
    state.engine.load(folder, state)
    averages = read_tensors(folder / EMA_FILE)
    check_tensors(averages, state.parameters, folder / EMA_FILE)
    state.progress.restore(saved["progress"])
    num_updates = saved["ema"]["num_updates"]
    state.averages.load(averages, num_updates=num_updates, num_skipped=state.progress.num_skipped)
    if state.scaler is not None and saved.get("scaler") is not None:
        state.scaler.load_state_dict(saved["scaler"])
    _compare_batches(saved.get("samples_a_step", 0), state.samples_a_step)
    _compare_people(saved.get("people", ""), state.people)


def _compare_batches(before: int, now: int) -> None:
    """Say so when a step sees another number of people: then it reads other ones, too."""
    if 0 not in (before, now) and before != now:
        logger.warning(
            "a step sees %d people, %d before the resume: some are seen twice or left out in this "
            "epoch. Keep batch_size x accumulation x processes to continue exactly.",
            now,
            before,
        )


def _compare_people(before: str, now: str) -> None:
    """Say so when a run learns from other people or pictures: no sample is then what it was."""
    if "" not in (before, now) and before != now:
        logger.warning(
            "the people or pictures to learn from are not those of before the resume: other "
            "samples follow than would have. Put data.index and what it names back as they were to "
            "continue exactly."
        )


def changed_keys(folder: Path, config: Config) -> list[str]:
    """List the configuration keys whose values differ from those stored with a checkpoint."""
    stored = dict(leaves(_stored_config(folder)))
    current = dict(leaves(to_plain(config, folder)))
    names = sorted(stored.keys() | current.keys())
    different = [name for name in names if stored.get(name) != current.get(name)]
    return [name for name in different if name not in _NOT_COMPARED]


def _stored_config(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG_FILE
    try:
        stored = read_yaml(path)
    except (OSError, UnreadableError):
        stored = None
    if not isinstance(stored, dict):
        raise CheckpointError(
            f"{path} holds no configuration; expected the YAML that a checkpoint is saved with. "
            "Resume from another checkpoint with train.resume=DIR, or remove the folder."
        )
    return stored
