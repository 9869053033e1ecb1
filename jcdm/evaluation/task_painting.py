"""Paint a test task: one picture a target view, named after its reference and its target.

Every picture is written when it is done, under a name that says what it shows, so that a run that
was cut goes on, and processes share the items without talking. An item's noise follows from its
number in the task and the seed alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from jcdm.data.images import load_image
from jcdm.data.transforms import Placement
from jcdm.errors import DataError
from jcdm.evaluation.protocols.files import OnBad
from jcdm.evaluation.task_frames import joints_in_cell, place_view, take_frame
from jcdm.evaluation.task_items import TaskItem, save_picture
from jcdm.pipelines.inputs import (
    View,
    ViewFormat,
    assemble_batch,
    prepare_reference,
    prepare_target,
)
from jcdm.pipelines.multiview import JCDMPipeline
from jcdm.pipelines.noise import KeyedNoise
from jcdm.pipelines.outputs import to_pil
from jcdm.pipelines.sampling import SamplingOptions
from jcdm.records import ViewRecord
from jcdm.seeding import sample_key


@dataclass(frozen=True, slots=True, kw_only=True)
class _Target:
    """A target: its view, how its photograph stands there, and the file to write."""

    view: View
    placement: Placement
    file: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class _Person:
    """An item, ready to be painted."""

    number: int
    references: list[View]
    targets: list[_Target]


@torch.no_grad()
def paint_task(
    pipeline: JCDMPipeline,
    items: Sequence[TaskItem],
    out: Path,
    options: SamplingOptions,
    *,
    seed: int = 0,
    batch_size: int = 4,
    rank: int = 0,
    world_size: int = 1,
    on_bad: OnBad = "error",
    report: Callable[[int, int], None] = lambda _done, _all: None,
) -> dict[int, str]:
    """Paint the items of a rank that are not painted yet into the folder `out`.

    Pictures have the size of a frame (see `data.fit`), or that of the model's views. A call of the
    model has the same items whatever is painted already, so that a run that was cut gives the
    pictures of one that was not. Returns the numbers of items that were left out, with the reason.
    Errors: DataError for photographs that cannot be read, unless they are left out, and items with
    more views than the grid.
    """
    out.mkdir(parents=True, exist_ok=True)
    mine = [item for item in items if item.number % world_size == rank]
    painted = {i.number for i in mine if all((out / name).is_file() for name in i.names)}
    report(len(painted), len(mine))
    spec, bad = pipeline.view_format(None, None), dict[int, str]()
    for start in range(0, len(mine), batch_size):
        call = mine[start : start + batch_size]
        if painted.issuperset(item.number for item in call):
            continue
        people = []
        for item in call:
            try:
                people.append(_prepare(item, out, spec))
            except DataError as error:
                if on_bad == "error":
                    raise
                bad[item.number] = str(error)
        if people:
            _paint(pipeline, people, options, seed)
        painted.update(item.number for item in call)
        report(len(painted), len(mine))
    return bad


def _prepare(item: TaskItem, out: Path, spec: ViewFormat) -> _Person:
    files = [out / name for name in item.names]
    return _Person(
        number=item.number,
        references=[_reference(view, spec) for view in item.references],
        targets=[_target(view, f, spec) for view, f in zip(item.targets, files, strict=True)],
    )


def _paint(
    pipeline: JCDMPipeline, people: Sequence[_Person], options: SamplingOptions, seed: int
) -> None:
    rows = [(person.references, [target.view for target in person.targets]) for person in people]
    batch = assemble_batch(rows, pipeline.denoiser.grid)
    keys = torch.tensor([sample_key(seed, 0, person.number) for person in people])
    _, latents = pipeline.paint(batch, KeyedNoise(keys), options)
    painted = to_pil(pipeline.decode(latents, batch.present & ~batch.visible))
    targets = (target for person in people for target in person.targets)
    for target, picture in zip(targets, painted, strict=True):
        if not target.file.is_file():
            save_picture(take_frame(picture, target.placement), target.file)


def _reference(view: ViewRecord, spec: ViewFormat) -> View:
    keypoints = np.concatenate([view.keypoints, view.keypoint_valid[:, None]], axis=1)
    return prepare_reference(load_image(view.image), keypoints, spec, view.image.name)


def _target(view: ViewRecord, file: Path, spec: ViewFormat) -> _Target:
    """Bring a target's pose to where its photograph would stand in the model's view."""
    _, placement = place_view(view, spec)
    pose = prepare_target(joints_in_cell(view, placement), spec, view.image.name)
    return _Target(view=pose, placement=placement, file=file)
