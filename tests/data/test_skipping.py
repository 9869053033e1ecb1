"""Views without a readable picture are left out; what stays is in the order of the index."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from damaged_files import DAMAGES

from jcdm.data.damage import find_damage
from jcdm.data.skipping import SkippedPicture, count_left_out, leave_out, pictures_of
from jcdm.errors import DataError
from jcdm.records import SubjectRecord

MakeSubject = Callable[..., SubjectRecord]


def left(
    tmp_path: Path, records: list[SubjectRecord], bad: set[str], *, frames: bool, fewest: int
) -> list[tuple[str, list[int]]]:
    """Name who stays, with the numbers of their views."""
    names = {f"pictures/{name}.png" for name in bad}
    found = leave_out(records, names, tmp_path / "index.json", frames=frames, fewest=fewest)
    return [(r.subject, [int(str(v.tags["number"])) for v in r.views]) for r in found]


def test_views_are_left_out_and_subjects_with_too_few(
    tmp_path: Path, make_subject: MakeSubject
) -> None:
    people = [make_subject("anna", num_views=4), make_subject("bo", num_views=3)]
    bad = {"anna_1", "bo_0", "bo_2"}
    assert left(tmp_path, people, bad, frames=False, fewest=2) == [("anna", [0, 2, 3])]
    found = left(tmp_path, people, bad, frames=False, fewest=1)
    assert found == [("anna", [0, 2, 3]), ("bo", [1])]
    names = {f"pictures/{name}.png" for name in bad}
    rest = leave_out(people, names, tmp_path / "index.json", frames=False, fewest=2)
    assert count_left_out(people, rest) == (4, 1)


def test_what_lost_nothing_stays_as_it_is_whatever_it_lacks(
    tmp_path: Path, make_subject: MakeSubject
) -> None:
    """Too few views in the index itself are a fault of the index, and stay an error."""
    people = [make_subject("anna", num_views=1), make_subject("bo", num_views=3)]
    found = left(tmp_path, people, {"bo_0", "bo_1"}, frames=False, fewest=2)
    assert found == [("anna", [0])]


@pytest.mark.parametrize(
    ("bad", "expected"),
    [
        ((), range(8)),
        ((3,), range(4, 8)),
        ((0, 7), range(1, 7)),
        ((4,), range(4)),
        ((2, 5), range(2)),  # three rows, of 2, 2 and 2: the first
        ((1, 3, 5), range(6, 8)),
    ],
)
def test_of_a_sequence_the_longest_row_stays(
    tmp_path: Path, make_subject: MakeSubject, bad: tuple[int, ...], expected: range
) -> None:
    film = make_subject("anna", num_views=8)
    names = {f"anna_{number}" for number in bad}
    found = left(tmp_path, [film], names, frames=True, fewest=2)
    assert found == [("anna", list(expected))]
    more = left(tmp_path, [film], names, frames=True, fewest=len(expected) + 1)
    assert more == ([] if bad else [("anna", list(range(8)))])


def test_a_broken_pose_map_takes_its_view_along(tmp_path: Path, make_subject: MakeSubject) -> None:
    anna = make_subject("anna", num_views=3)
    views = [
        replace(v, pose_map=v.image.with_name(f"map_{i}.png")) for i, v in enumerate(anna.views)
    ]
    anna = replace(anna, views=tuple(views))
    assert left(tmp_path, [anna], {"map_1"}, frames=False, fewest=2) == [("anna", [0, 2])]
    assert len(pictures_of([anna, anna])) == 6
    assert pictures_of([anna], photographs=False) == [view.pose_map for view in views]


def test_a_repaired_picture_is_known_by_its_file(tmp_path: Path, make_subject: MakeSubject) -> None:
    first, second, *_ = (view.image for view in make_subject("anna").views)
    content = first.read_bytes()
    DAMAGES["truncated png"](first)
    (error,) = find_damage([first, second]).values()
    noted = SkippedPicture.describe(first, error)
    assert noted.reason == str(error) and not noted.is_repaired(first)
    DAMAGES["zero bytes"](first)
    assert not noted.is_repaired(first), "another file, and no better"
    first.unlink()
    assert not noted.is_repaired(first), "no file at all"
    first.write_bytes(content)
    assert noted.is_repaired(first)


@pytest.mark.parametrize(
    "facts",
    [
        {"reason": 3, "num_bytes": 1, "modified": 2},
        {"reason": "a", "num_bytes": "1", "modified": 2},
        {"reason": "a", "num_bytes": 1, "modified": True},
    ],
)
def test_what_a_file_says_of_a_picture_is_checked(facts: dict[str, object]) -> None:
    with pytest.raises(DataError, match="expected a reason and the facts of a file"):
        SkippedPicture(**facts)  # type: ignore[arg-type]
