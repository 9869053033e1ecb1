"""The benchmark's grids as batches that a pipeline paints."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from PIL import Image

from jcdm.evidence.people import DrawnPeople
from jcdm.evidence.tasks import GridPlan
from jcdm.grid import GridShape
from jcdm.pipelines.inputs import View, ViewFormat, assemble_batch, prepare_reference
from jcdm.records import Batch
from jcdm.seeding import sample_key

GRID = GridShape(rows=2, cols=2)


def make_batches(
    people: DrawnPeople, grids: Sequence[GridPlan], spec: ViewFormat, *, batch_size: int
) -> Iterator[tuple[Sequence[GridPlan], Batch]]:
    """Yield the grids in pieces, each with its batch; true pictures stand in every cell.

    The key of a grid, which its noise derives from, depends on its person and place in the list.
    """
    for start in range(0, len(grids), batch_size):
        piece = grids[start : start + batch_size]
        batch = assemble_batch([_views(people, plan, spec) for plan in piece], GRID)
        keys = [sample_key(plan.person, 0, start + i) for i, plan in enumerate(piece)]
        yield (
            piece,
            replace(
                batch,
                keys=torch.tensor(keys),
                subjects=tuple(f"person {plan.person}" for plan in piece),
            ),
        )


def _views(people: DrawnPeople, plan: GridPlan, spec: ViewFormat) -> tuple[list[View], list[View]]:
    found = [
        prepare_reference(
            Image.fromarray(people.images[plan.person, view]),
            joints_of(people.keypoints[plan.person, view], people.seen[plan.person, view]),
            spec,
            f"view {view} of person {plan.person}",
        )
        for view in plan.views
    ]
    given = sum(plan.visible)
    return found[:given], found[given:]


def joints_of(keypoints: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Join coordinates and flags as a pipeline reads them: (18,3), -1 where a joint is not seen."""
    return np.where(seen[:, None], np.c_[keypoints, np.ones(len(seen))], [-1.0, -1.0, 0.0])
