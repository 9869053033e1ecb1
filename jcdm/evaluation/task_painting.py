"""Paint a test task: one picture a target view, named after its reference and its target.

Every picture is written when it is done, under a name that says what it shows, so that a run that
was cut goes on, and processes share the items without talking. An item's noise follows from its
number in the task alone.
"""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from jcdm.data.images import load_image
from jcdm.data.index import read_index
from jcdm.data.transforms import Placement
from jcdm.errors import DataError
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

FORMAT, VERSION = "jcdm-task", 1
GENERATED, TRUTH = "generated", "truth"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskItem:
    """One item of a task: its number, the views that are given and those to be painted."""

    number: int
    references: tuple[ViewRecord, ...]
    targets: tuple[ViewRecord, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Target:
    """A target: its view, how its photograph stands there, the truth, and the file to write."""

    view: View
    placement: Placement
    truth: Image.Image
    name: str
    file: Path


def read_task(file: Path, index: Path) -> list[TaskItem]:
    """Read a task and find its views in an index. Errors: DataError naming the item."""
    try:
        task = json.loads(file.read_text(encoding="utf-8"))
        known = (task["format"], task["version"]) == (FORMAT, VERSION)
        split, items = str(task["split"]), list(task["items"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(
            f"{file} holds no task: {' '.join(str(error).split())[:200]}. Expected a file that "
            "`python -m jcdm data tasks` wrote."
        ) from None
    if not known:
        raise DataError(f"{file} has not format {FORMAT!r} version {VERSION}; write it again.")
    views = {v.image.name: v for record in read_index(index, split) for v in record.views}
    return [_read_item(item, number, views, file) for number, item in enumerate(items)]


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
    report: Callable[[int, int], None] = lambda _done, _all: None,
) -> None:
    """Paint the items of a rank that are not painted yet, into `out`/generated and `out`/truth.

    Pictures have the size of a frame (see `data.fit`), or that of the model's views. Errors:
    DataError for photographs that cannot be read, or items with more views than the grid.
    """
    for folder in (GENERATED, TRUTH):
        (out / folder).mkdir(parents=True, exist_ok=True)
    mine = [item for item in items if item.number % world_size == rank]
    missing = [item for item in mine if not all(f.is_file() for f in _files(item, out))]
    report(len(mine) - len(missing), len(mine))
    for start in range(0, len(missing), batch_size):
        some = missing[start : start + batch_size]
        _paint(pipeline, some, out, options, seed)
        report(len(mine) - len(missing) + start + len(some), len(mine))


def _read_item(item: Any, number: int, views: dict[str, ViewRecord], file: Path) -> TaskItem:
    try:
        found = {
            kind: tuple(views[name] for name in item[kind]) for kind in ("references", "targets")
        }
    except (KeyError, TypeError) as error:
        raise DataError(
            f"{file}, item {number}: {error} is no view of the index. Pass the index that the task "
            "was made of."
        ) from None
    if not found["references"] or not found["targets"]:
        raise DataError(f"{file}, item {number}: expected references and targets, found none.")
    return TaskItem(number=number, **found)


def _files(item: TaskItem, out: Path) -> list[Path]:
    """Name the painted files of an item: REFERENCE_to_TARGET.png, as the published codes do."""
    source = "+".join(view.image.stem for view in item.references)
    return [out / GENERATED / f"{source}_to_{view.image.stem}.png" for view in item.targets]


def _paint(
    pipeline: JCDMPipeline,
    items: Sequence[TaskItem],
    out: Path,
    options: SamplingOptions,
    seed: int,
) -> None:
    spec = pipeline.view_format(None, None)
    targets = [
        [
            _target(view, file, spec)
            for view, file in zip(item.targets, _files(item, out), strict=True)
        ]
        for item in items
    ]
    people = [
        ([_reference(view, spec) for view in item.references], [target.view for target in row])
        for item, row in zip(items, targets, strict=True)
    ]
    batch = assemble_batch(people, pipeline.denoiser.grid)
    keys = torch.tensor([sample_key(seed, 0, item.number) for item in items])
    _, latents = pipeline.paint(batch, KeyedNoise(keys), options)
    painted = to_pil(pipeline.decode(latents, batch.present & ~batch.visible))
    for target, picture in zip((t for row in targets for t in row), painted, strict=True):
        truth = out / TRUTH / f"{target.name}.png"
        if not truth.is_file():
            _save(target.truth, truth)
        _save(_frame(picture, target.placement), target.file)


def _reference(view: ViewRecord, spec: ViewFormat) -> View:
    keypoints = np.concatenate([view.keypoints, view.keypoint_valid[:, None]], axis=1)
    return prepare_reference(load_image(view.image), keypoints, spec, view.image.name)


def _target(view: ViewRecord, file: Path, spec: ViewFormat) -> _Target:
    """Bring a target's pose to where its photograph would stand in the model's view."""
    photo = load_image(view.image)
    size = (photo.height, photo.width)
    placement = Placement.fit(size, (spec.height, spec.width), spec.fit)
    points, valid = placement.place_keypoints(view.keypoints, view.keypoint_valid)
    keypoints = np.concatenate([np.where(valid[:, None], points, 0), valid[:, None]], axis=1)
    return _Target(
        view=prepare_target(keypoints, spec, view.image.name),
        placement=placement,
        truth=_frame(placement.place(photo), placement),
        name=view.image.stem,
        file=file,
    )


def _frame(picture: Image.Image, placement: Placement) -> Image.Image:
    """Take a picture out of its bars; a cropped one has none."""
    is_cut = any(r > c for r, c in zip(placement.resized, placement.cell, strict=True))
    return picture if is_cut else placement.content(picture)


def _save(picture: Image.Image, file: Path) -> None:
    """Write a picture whole or not at all."""
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    picture.save(partial, format="PNG")
    os.replace(partial, file)
