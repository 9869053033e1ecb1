"""Checkpoints: save, find and load the whole state of a run, as safetensors and JSON only."""

import json
import logging
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from jcdm.config import Config
from jcdm.errors import CheckpointError, ConfigError
from jcdm.folders import remove_folder, remove_leftovers, verify_folder, write_folder
from jcdm.plain import to_plain, to_yaml
from jcdm.training.engine import ENGINE_FOLDER, OPTIMIZER_FILE, Gathered, PlainEngine
from jcdm.training.state import RunState
from jcdm.training.weights import check_tensors, read_tensors, write_tensors

logger = logging.getLogger(__name__)

FOLDER = "checkpoints"
EMA_FILE = "ema.safetensors"
STATE_FILE = "state.json"
CONFIG_FILE = "config.yaml"
_NOT_COMPARED = ("run.out", "train.resume", "train.num_threads", "data.num_workers")
_NAME = re.compile(r"step_(\d+)")
_SPARE = ".engine-state"


def list_checkpoints(run: Path) -> list[tuple[int, Path]]:
    """List (step, folder) of a run, whole or not, in the order of the steps."""
    folders = (run / FOLDER).glob("step_*")
    named = ((_NAME.fullmatch(folder.name), folder) for folder in folders)
    return sorted((int(match.group(1)), folder) for match, folder in named if match)


def save_checkpoint(run: Path, state: RunState, config: Config) -> Path:
    """Write the state below `run`, then remove the oldest checkpoints beyond the number to keep.

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
        for _, old in list_checkpoints(run)[: -config.train.keep_checkpoints]:
            remove_folder(old)
    accelerator.wait_for_everyone()
    return target


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
        "people": state.people,
    }


def find_checkpoint(run: Path, resume: str) -> Path | None:
    """Choose what to resume from: `auto` = the newest whole one of the run, `never`, or a folder.

    A damaged checkpoint is passed over with a warning that names it. Errors: CheckpointError when
    none is whole or the folder named is not; ConfigError where a run would mix with another one.
    """
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


def newest_whole(existing: list[tuple[int, Path]]) -> Path | None:
    """Return the last checkpoint that is not damaged; None where there is none at all."""
    for _, folder in reversed(existing):
        try:
            verify_folder(folder)
            return folder
        except CheckpointError as error:
            logger.warning("passed over a checkpoint: %s", error)
    if existing:
        raise CheckpointError(
            f"none of the {len(existing)} checkpoints in {existing[0][1].parent} is whole. "
            "Choose another run.out, or name a folder with train.resume=DIR."
        )
    return None


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
    saved = json.loads((folder / STATE_FILE).read_text(encoding="utf-8"))
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
    state.averages.load(averages, **saved["ema"], num_skipped=state.progress.num_skipped)
    if state.scaler is not None and saved["scaler"] is not None:
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
    stored = dict(_leaves(yaml.safe_load((folder / CONFIG_FILE).read_text(encoding="utf-8"))))
    current = dict(_leaves(to_plain(config, folder)))
    names = sorted(stored.keys() | current.keys())
    different = [name for name in names if stored.get(name) != current.get(name)]
    return [name for name in different if name not in _NOT_COMPARED]


def _leaves(tree: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
