"""What a run is watched by: the loss on unseen people, and previews of what it can do."""

import torch
from accelerate.utils import gather_object
from torch import Tensor

from jcdm.data.dataset import MultiViewDataset
from jcdm.data.loader import collate
from jcdm.training.loop import Trainer, Watch
from jcdm.training.pictures import save_sheet
from jcdm.training.validation import validation_scalars

NUM_PREVIEWED = 4


def build_watches(trainer: Trainer, people: MultiViewDataset) -> list[Watch]:
    """Watch the averaged weights at work on unseen people, as often as `train` says.

    The loss is measured at every checkpoint too, where the best ones are to stay.
    """
    train = trainer.config.train
    with_checkpoints = train.checkpoint_every if train.keep_best else 0

    def validate(step: int) -> dict[str, float]:
        return validation_scalars(
            trainer.stage,
            trainer.state.averages,
            people,
            batch_size=train.batch_size,
            accelerator=trainer.accelerator,
            in_lockstep=trainer.engine.in_lockstep,
        )

    def preview(step: int) -> dict[str, float]:
        return _preview(trainer, people, step)

    return [
        Watch(
            every=train.validate_every,
            also_every=with_checkpoints,
            look=validate,
            at_start=True,
        ),
        Watch(every=train.picture_every, look=preview),
    ]


def _preview(trainer: Trainer, people: MultiViewDataset, step: int) -> dict[str, float]:
    """Try the averaged weights on a few people, shared out over the ranks.

    The main rank writes pictures/step_N.png and has the scores, over the target views of all.
    """
    accelerator = trainer.accelerator
    found = gather_object([_try_share(trainer, people)])
    if not accelerator.is_main_process:
        return {}
    shares = sorted((s for share in found for s in share), key=lambda share: share[0])
    scores, pictures = join_scores([s[1:3] for s in shares]), [s[3] for s in shares]
    if all(picture is not None for picture in pictures):
        rows = torch.cat(pictures)
        save_sheet(rows, trainer.config.run.out / "pictures" / f"step_{step:07d}.png")
        for tracker in accelerator.trackers:
            tracker.log_images({"people": rows.numpy()}, step=step)  # type: ignore[attr-defined]
    return scores


_Share = tuple[int, int, dict[str, float], Tensor | None]


def _try_share(trainer: Trainer, people: MultiViewDataset) -> list[_Share]:
    """Preview this rank's people one by one: (index, target views, scores, pictures) of each.

    One by one, so that numbers do not depend on how many ranks share them out.
    """
    accelerator = trainer.accelerator
    count = min(NUM_PREVIEWED, len(people))
    mine = range(accelerator.process_index, count, accelerator.num_processes)
    spare = len(range(0, count, accelerator.num_processes)) - len(mine)
    shares: list[_Share] = []
    with trainer.state.averages.applied():
        for index in mine:
            batch = collate([people.sample(index)])
            num_targets = int((batch.present & ~batch.visible).sum())
            shares.append((index, num_targets, *trainer.stage.preview(batch)))
        if trainer.engine.in_lockstep:
            for _ in range(spare):  # forward passes are joint work
                trainer.stage.preview(collate([people.sample(0)]))
    return shares


def join_scores(scores: list[tuple[int, dict[str, float]]]) -> dict[str, float]:
    """Average scores over target views, from their number and their mean of every person."""
    total = sum(count for count, _ in scores)
    names = scores[0][1] if scores else {}
    return {name: sum(n * found[name] for n, found in scores) / total for name in names}
