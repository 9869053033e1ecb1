"""Which checkpoints of a run stay: the last ones, and the best ones by validation loss."""

from collections.abc import Sequence

from jcdm.training.checkpoint_folders import SavedCheckpoint


def best_checkpoints(found: Sequence[SavedCheckpoint], number: int) -> list[SavedCheckpoint]:
    """Choose the whole checkpoints with the lowest validation loss; of equal ones the newest.

    A checkpoint without a finite loss of its own step is none of them.
    """
    scored = [c for c in found if c.damage is None and c.validation_loss is not None]
    return sorted(scored, key=lambda c: (c.validation_loss, -c.step))[:number]


def surplus_checkpoints(
    found: Sequence[SavedCheckpoint], *, keep_last: int, keep_best: int
) -> list[SavedCheckpoint]:
    """Choose the whole checkpoints that may go, by step. Damaged ones neither count nor go.

    keep_last: at least 1, so that the newest whole one always stays.
    """
    assert keep_last >= 1, keep_last
    whole = sorted((c for c in found if c.damage is None), key=lambda c: c.step)
    kept = {c.step for c in (*whole[-keep_last:], *best_checkpoints(whole, keep_best))}
    return [c for c in whole if c.step not in kept]
