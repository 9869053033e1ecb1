"""What a run is watched by: the loss on unseen people, and previews of what it can do."""

from jcdm.data.dataset import MultiViewDataset
from jcdm.data.loader import collate
from jcdm.training.loop import Trainer, Watch
from jcdm.training.pictures import save_sheet
from jcdm.training.validation import validation_scalars

NUM_PREVIEWED = 4


def build_watches(trainer: Trainer, people: MultiViewDataset) -> list[Watch]:
    """Watch the averaged weights at work on unseen people, as often as `train` says."""
    train = trainer.config.train

    def validate(step: int) -> dict[str, float]:
        return validation_scalars(
            trainer.stage,
            trainer.state.averages,
            people,
            batch_size=train.batch_size,
            accelerator=trainer.accelerator,
        )

    def preview(step: int) -> dict[str, float]:
        return _preview(trainer, people, step)

    return [
        Watch(every=train.validate_every, look=validate, at_start=True),
        Watch(every=train.picture_every, look=preview),
    ]


def _preview(trainer: Trainer, people: MultiViewDataset, step: int) -> dict[str, float]:
    """Try the averaged weights on a few people; the main rank writes pictures/step_N.png."""
    accelerator = trainer.accelerator
    if not accelerator.is_main_process:
        return {}
    count = min(NUM_PREVIEWED, len(people))
    batch = collate([people.sample(index) for index in range(count)])
    with trainer.state.averages.applied():
        scalars, pictures = trainer.stage.preview(batch)
    if pictures is not None:
        save_sheet(pictures, trainer.config.run.out / "pictures" / f"step_{step:07d}.png")
        for tracker in accelerator.trackers:
            images = {"people": pictures.numpy()}
            tracker.log_images(images, step=step)  # type: ignore[attr-defined]
    return scalars
