"""Look after the checkpoints of a run: find them, see which are whole, remove what may go."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jcdm.errors import CheckpointError
from jcdm.folders import MANIFEST, remove_folder, verify_folder
from jcdm.training.checkpoint_folders import (
    FINAL,
    FOLDER,
    SavedCheckpoint,
    list_checkpoints,
    list_steps,
    look_into,
    step_of,
)
from jcdm.training.retention import best_checkpoints, surplus_checkpoints


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCheckpoints:
    """Checkpoints by step, every byte of them read. The run's other folder is `final`, if any.

    final_damage: what is wrong with it in one line; None where it is whole or not there.
    """

    found: tuple[SavedCheckpoint, ...]
    final: Path | None = None
    final_damage: str | None = None

    @property
    def newest(self) -> SavedCheckpoint | None:
        """The checkpoint that a resume would take."""
        return next((c for c in reversed(self.found) if c.damage is None), None)

    @property
    def best(self) -> SavedCheckpoint | None:
        """The whole checkpoint with the lowest validation loss."""
        return next(iter(best_checkpoints(self.found, 1)), None)

    @property
    def damages(self) -> list[str]:
        """What is wrong, one line a damaged folder."""
        lines = [*(c.damage for c in self.found), self.final_damage]
        return [line for line in lines if line is not None]


def read_checkpoints(folder: Path) -> RunCheckpoints:
    """Read the checkpoints of a run, of a folder of checkpoints, or the one that `folder` is.

    Errors: CheckpointError where there is none.
    """
    existing = _existing(folder)
    found = tuple(look_into(step, path) for step, path in existing)
    final = folder / FINAL
    if not (final / MANIFEST).is_file():
        if not found:
            raise CheckpointError(
                f"{folder} holds no checkpoint; expected the folder of a run, its {FOLDER}/, or "
                f"one such as outputs/run/{FOLDER}/step_0001000. Check the path."
            )
        return RunCheckpoints(found=found)
    damage = None
    try:
        verify_folder(final, is_passed_on=True)
    except CheckpointError as error:
        damage = str(error)
    return RunCheckpoints(found=found, final=final, final_damage=damage)


def _existing(folder: Path) -> list[tuple[int, Path]]:
    if (step := step_of(Path(folder.absolute().name))) is not None and folder.is_dir():
        return [(step, folder)]
    return list_checkpoints(folder) or list_steps(folder)


def prune_checkpoints(
    read: RunCheckpoints, *, keep_last: int, keep_best: int, damaged: bool, dry_run: bool
) -> Sequence[SavedCheckpoint]:
    """Remove surplus checkpoints, and damaged ones if asked for; returns them by step.

    The newest whole one always stays. Errors: CheckpointError where none is whole: then nothing is
    removed, for a damaged checkpoint may be all that is left of a run.
    """
    if read.newest is None:
        raise CheckpointError(
            f"none of the {len(read.found)} checkpoints is whole, so nothing was removed: "
            f"{'; '.join(read.damages)}"
        )
    doomed = surplus_checkpoints(read.found, keep_last=keep_last, keep_best=keep_best)
    if damaged:
        doomed += [checkpoint for checkpoint in read.found if checkpoint.damage is not None]
    doomed.sort(key=lambda checkpoint: checkpoint.step)
    if not dry_run:
        for checkpoint in doomed:
            remove_folder(checkpoint.folder)
    return doomed
