"""The benchmark's tasks: which views of a person are given, and which are painted and scored.

Views of drawn people look from fixed directions (`jcdm.data.synthetic.people`): 0 front, 1 back, 2
and 3 the sides, 4 to 7 what lies between, 8 to 15 the same 22.5 degrees on, all in poses of their
own. Every task fills a grid of four cells, since models are trained on full ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from jcdm.errors import ConfigError
from jcdm.evidence.people import DrawnPeople

NUM_CELLS = 4
FRONT, BACK, LEFT, RIGHT = 0, 1, 2, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Views by number: references are given, scored ones painted and judged, others only painted.

    far: instead of `scored`, the two views whose poses are farthest from the references. apart: the
    scored views stand in grids of their own, each beside `others`.
    """

    name: str
    references: tuple[int, ...]
    scored: tuple[int, ...] = ()
    others: tuple[int, ...] = ()
    far: bool = False
    apart: bool = False


_UNSEEN = (9, 11)  # from behind and from a side: not what the first reference, a front, shows

TASKS: Mapping[str, Task] = {
    task.name: task
    for task in (
        Task(
            name="same_side",  # other poses from about the same side
            references=(FRONT,),
            scored=(8, 4, 6),
        ),
        Task(
            name="front_to_back",  # no reference shows the print, so only plausibility counts there
            references=(FRONT,),
            scored=(BACK, 9, 5),
        ),
        Task(
            name="front_to_back_apart",  # each view in a grid of its own beside two fronts
            references=(FRONT,),
            scored=(BACK, 9, 5),
            others=(8, 4),
            apart=True,
        ),
        Task(
            name="sides_to_front",
            references=(LEFT, RIGHT),
            scored=(FRONT, 8),
        ),
        Task(
            name="far_poses",
            references=(FRONT, BACK),
            far=True,
        ),
        Task(
            name="references_1",  # three at once
            references=(FRONT,),
            scored=_UNSEEN,
            others=(5,),
        ),
        Task(
            name="references_2",
            references=(FRONT, BACK),
            scored=_UNSEEN,
        ),
        Task(
            name="references_2_apart",  # each view in a grid of its own beside another view
            references=(FRONT, BACK),
            scored=_UNSEEN,
            others=(5,),
            apart=True,
        ),
        Task(
            name="references_3",  # one at a time
            references=(FRONT, BACK, RIGHT),
            scored=_UNSEEN,
        ),
    )
}


def find_task(name: str) -> Task:
    """Return a task by name. Errors: ConfigError naming the known ones."""
    if name not in TASKS:
        raise ConfigError(f"task {name!r} is unknown; expected one of {', '.join(TASKS)}.")
    return TASKS[name]


@dataclass(frozen=True, slots=True, kw_only=True)
class GridPlan:
    """One grid of a person: the view in each cell, which are references, which are scored (4,)."""

    person: int
    views: tuple[int, ...]
    visible: tuple[bool, ...]
    scored: tuple[bool, ...]


def plan_grids(task: Task, people: DrawnPeople) -> list[GridPlan]:
    """Plan the grids that paint a task for all people, in their order.

    Where references leave too few cells for all scored views, a person gets several grids.
    """
    grids = []
    room = NUM_CELLS - len(task.references)
    for person in range(len(people.images)):
        scored = _farthest(task, people, person) if task.far else task.scored
        step = 1 if task.apart else room
        for start in range(0, len(scored), step):
            painted = scored[start : start + step]
            fill = task.others[: room - len(painted)]
            grids.append(_grid(person, task.references, painted, fill))
    return grids


def _grid(
    person: int, references: tuple[int, ...], painted: tuple[int, ...], fill: tuple[int, ...]
) -> GridPlan:
    counts = (len(references), len(painted), len(fill))
    assert sum(counts) == NUM_CELLS, "every cell of a grid has a view"
    return GridPlan(
        person=person,
        views=(*references, *painted, *fill),
        visible=tuple(np.repeat([True, False, False], counts).tolist()),
        scored=tuple(np.repeat([False, True, False], counts).tolist()),
    )


def _farthest(task: Task, people: DrawnPeople, person: int) -> tuple[int, ...]:
    """The views whose joints, centred and scaled to the body, are farthest from the references'."""
    poses = [
        _centred(k, s) for k, s in zip(people.keypoints[person], people.seen[person], strict=True)
    ]
    gaps = {
        view: min(_gap(pose, poses[reference]) for reference in task.references)
        for view, pose in enumerate(poses)
        if view not in task.references
    }
    count = NUM_CELLS - len(task.references)
    return tuple(sorted(gaps, key=lambda view: -gaps[view])[:count])


def _centred(keypoints: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Joints (18,2) about their mean in units of their spread; NaN where not seen."""
    known = np.where(seen[:, None], keypoints, np.nan)
    known = known - np.nanmean(known, axis=0)
    return known / max(float(np.sqrt(np.nanmean(known**2))), 1e-6)


def _gap(one: np.ndarray, other: np.ndarray) -> float:
    distance = np.sqrt(((one - other) ** 2).sum(-1))
    return float(np.nanmean(distance)) if np.isfinite(distance).any() else 0.0
