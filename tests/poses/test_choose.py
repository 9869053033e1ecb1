"""Which person is meant, and which joints count."""

import numpy as np
import pytest
from PIL import Image

from jcdm.errors import ConfigError, DataError
from jcdm.poses.choose import Choice, choose_person, find_person, hide_unsure, person_finder
from jcdm.poses.detector import DetectedPerson


def make_person(box: tuple[float, float, float, float], confidence: float) -> DetectedPerson:
    joints = np.full((18, 3), 0.5)
    joints[:, 2] = confidence
    return DetectedPerson(body=joints, box=box)


SMALL_SURE = make_person((0.1, 0.1, 0.2, 0.3), 0.9)
LARGE_UNSURE = make_person((0.3, 0.2, 0.8, 0.9), 0.4)
WIDE = make_person((0.0, 0.0, 0.9, 0.1), 0.5)


class Fixed:
    """A detector that finds the people it is given."""

    identity = "fixed"

    def __init__(self, *people: DetectedPerson) -> None:
        self.people = people

    def detect(self, picture: Image.Image) -> tuple[DetectedPerson, ...]:
        return self.people


@pytest.mark.parametrize("rule", ["error", "largest", "surest"])
def test_the_only_person_is_taken(rule: str) -> None:
    assert choose_person([LARGE_UNSURE], "a.png", rule) is LARGE_UNSURE  # type: ignore[arg-type]


def test_of_several_the_rule_takes_one() -> None:
    people = [SMALL_SURE, WIDE, LARGE_UNSURE]
    assert choose_person(people, "a.png", "largest") is LARGE_UNSURE
    assert choose_person(people, "a.png", "surest") is SMALL_SURE


def test_several_without_a_rule_are_an_error_that_names_their_boxes() -> None:
    with pytest.raises(DataError) as caught:
        choose_person([SMALL_SURE, LARGE_UNSURE], "a.png", "error")
    message = str(caught.value)
    assert "a.png: 2 people found" in message and "--people=largest" in message
    assert "0.10, 0.10, 0.20, 0.30; 0.30, 0.20, 0.80, 0.90" in message and "\n" not in message
    with pytest.raises(DataError, match=r"9 people found.*; \.\.\."):
        choose_person([WIDE] * 9, "a.png", "error")


def test_nobody_is_an_error() -> None:
    for rule in ("error", "largest", "surest"):
        with pytest.raises(DataError, match=r"a\.png: no person found, expected one"):
            choose_person([], "a.png", rule)  # type: ignore[arg-type]


def test_joints_that_are_not_sure_enough_are_unseen_and_nothing_else_changes() -> None:
    joints = np.full((18, 3), 0.5)
    joints[:, 2] = np.linspace(0, 0.85, 18)
    hands, face = np.full((2, 21, 3), 0.29), np.full((68, 3), 0.3)
    person = DetectedPerson(body=joints, box=(0, 0, 1, 1), hands=hands, face=face)
    hidden = hide_unsure(person, 0.3)
    assert hidden.body[:, 2].tolist() == [c if c >= 0.3 else 0 for c in joints[:, 2]]
    assert (hidden.body[:, :2] == joints[:, :2]).all()
    assert hidden.hands is not None and not hidden.hands[..., 2].any()
    assert hidden.face is not None and (hidden.face == face).all()
    assert joints[1, 2] == pytest.approx(0.05), "what was given stays as it is"
    assert hide_unsure(SMALL_SURE, 0.3).hands is None


def test_a_person_without_a_sure_joint_is_an_error() -> None:
    choice = Choice(min_confidence=0.95)
    with pytest.raises(DataError, match=r"b\.png: no joint .* as sure as 0\.95, the surest 0\.90"):
        find_person(Fixed(SMALL_SURE), Image.new("RGB", (8, 8)), "b.png", choice)


def test_a_finder_gives_the_joints_of_the_chosen_person() -> None:
    find = person_finder(Fixed(SMALL_SURE, LARGE_UNSURE), Choice(people="largest"))
    found = find(Image.new("RGB", (8, 8)), "a.png")
    assert found.shape == (18, 3) and (found == LARGE_UNSURE.body).all()


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_a_confidence_that_cannot_be_is_refused(value: float) -> None:
    with pytest.raises(ConfigError, match="expected a number from 0 to 1"):
        Choice(min_confidence=value)
