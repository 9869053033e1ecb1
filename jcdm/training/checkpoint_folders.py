"""The checkpoints of a run as folders: found, looked into, chosen. Imports no torch."""

import logging
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jcdm.errors import CheckpointError
from jcdm.folders import verify_folder
from jcdm.reading import UnreadableError, read_json

logger = logging.getLogger(__name__)

FOLDER = "checkpoints"
FINAL = "final"
STATE_FILE = "state.json"
_NAME = re.compile(r"step_(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedCheckpoint:
    """A checkpoint as it lies on disk. damage: what is wrong in one line, None = it is whole.

    saved: when, in UTC; validation_loss: of the averaged weights at its step. Both are None where
    the checkpoint does not say.
    """

    step: int
    folder: Path
    num_bytes: int
    damage: str | None
    saved: str | None
    validation_loss: float | None


def list_checkpoints(run: Path) -> list[tuple[int, Path]]:
    """List (step, folder) of a run, whole or not, in the order of the steps."""
    return list_steps(run / FOLDER)


def list_steps(folder: Path) -> list[tuple[int, Path]]:
    """List (step, folder) of a folder of checkpoints, in the order of the steps."""
    found = ((step_of(path), path) for path in folder.glob("step_*"))
    return sorted((step, path) for step, path in found if step is not None)


def step_of(folder: Path) -> int | None:
    """Return the step that a checkpoint's name says; None where it is no checkpoint's name."""
    match = _NAME.fullmatch(folder.name)
    return int(match.group(1)) if match else None


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


def look_into(step: int, folder: Path, *, checksums: bool = True) -> SavedCheckpoint:
    """Say what a checkpoint is and whether it is whole. checksums: see `verify_folder`."""
    damage, state = None, dict[str, Any]()
    try:
        verify_folder(folder, checksums=checksums)
        state = read_state(folder)
    except CheckpointError as error:
        damage = str(error)
    loss = state.get("progress", {}).get("validation_loss")
    is_score = isinstance(loss, float) and math.isfinite(loss)
    return SavedCheckpoint(
        step=step,
        folder=folder,
        num_bytes=sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
        damage=damage,
        saved=str(state["saved"]) if "saved" in state else None,
        validation_loss=loss if is_score else None,
    )


def read_state(folder: Path) -> dict[str, Any]:
    """Read the counters of a verified checkpoint. Errors: CheckpointError for others than ours."""
    path = folder / STATE_FILE
    try:
        state = read_json(path)
        is_ours = (
            isinstance(state["part"], str)
            and isinstance(state["progress"], dict)
            and isinstance(state["ema"]["num_updates"], int)
            and isinstance(state.get("samples_a_step", 0), int)
        )
    except (OSError, UnreadableError, KeyError, TypeError):
        is_ours = False
    if not is_ours:
        raise CheckpointError(
            f"{path} does not hold the counters of a run, expected as a checkpoint is saved with "
            "them. Resume from another checkpoint with train.resume=DIR, or remove the folder."
        )
    return state
