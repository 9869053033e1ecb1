"""Tasks fill grids of four cells, score what they say, and find far poses."""

import numpy as np
import pytest

from jcdm.errors import ConfigError
from jcdm.evidence.people import DrawnPeople
from jcdm.evidence.tasks import NUM_CELLS, TASKS, Task, _centred, _gap, find_task, plan_grids


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_every_cell_has_a_view_and_every_scored_view_is_painted_once(
    task: Task, people: DrawnPeople
) -> None:
    grids = plan_grids(task, people)
    for plan in grids:
        assert len(set(plan.views)) == NUM_CELLS
        assert plan.views[: len(task.references)] == task.references
        assert sum(plan.visible) == len(task.references)
        assert not any(v and s for v, s in zip(plan.visible, plan.scored, strict=True))
    for person in range(len(people.images)):
        scored = [
            view
            for plan in grids
            if plan.person == person
            for view, s in zip(plan.views, plan.scored, strict=True)
            if s
        ]
        assert scored and (task.far or sorted(scored) == sorted(task.scored))


def test_references_of_one_two_and_three_ask_for_the_same_views() -> None:
    names = ("references_1", "references_2", "references_3")
    assert len({find_task(name).scored for name in names}) == 1
    assert [len(find_task(name).references) for name in names] == [1, 2, 3]


@pytest.mark.parametrize(("together", "fill"), [("references_2", (5,)), ("front_to_back", (8, 4))])
def test_views_apart_stand_in_grids_of_their_own(
    people: DrawnPeople, together: str, fill: tuple[int, ...]
) -> None:
    task = find_task(f"{together}_apart")
    assert (task.references, task.scored) == (
        find_task(together).references,
        find_task(together).scored,
    )
    grids = plan_grids(task, people)
    assert len(grids) == len(task.scored) * len(people.images)
    assert all(sum(plan.scored) == 1 for plan in grids)
    assert {plan.views[-len(fill) :] for plan in grids} == {fill}


def test_far_poses_are_the_farthest(people: DrawnPeople) -> None:
    task = find_task("far_poses")
    plan = plan_grids(task, people)[1]
    poses = [_centred(k, s) for k, s in zip(people.keypoints[1], people.seen[1], strict=True)]

    def gap(view: int) -> float:
        return min(_gap(poses[view], poses[r]) for r in task.references)

    chosen = [v for v, s in zip(plan.views, plan.scored, strict=True) if s]
    others = [v for v in range(len(poses)) if v not in plan.views]
    assert min(map(gap, chosen)) >= max(map(gap, others))


def test_a_gap_is_blind_to_place_and_size() -> None:
    rng = np.random.default_rng(0)
    pose, seen = rng.random((18, 2)), np.ones(18, dtype=bool)
    assert _gap(_centred(pose, seen), _centred(0.3 * pose + 0.4, seen)) == pytest.approx(0)
    assert _gap(_centred(pose, seen), _centred(pose[::-1], seen)) > 0.5


def test_an_unknown_task_is_named() -> None:
    with pytest.raises(ConfigError, match="'sideways' is unknown; expected one of same_side"):
        find_task("sideways")
