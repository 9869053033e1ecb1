"""Which of the people in a picture is meant, and which joints count as seen."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from PIL import Image

from jcdm.errors import ConfigError, DataError
from jcdm.poses.detector import DetectedPerson, PoseDetector

PoseFinder = Callable[[Image.Image, str], np.ndarray]
"""Finds the joints (K,3) of the person in a photograph, which errors call by a name."""

Rule = Literal["error", "largest", "surest"]
_SHOWN_BOXES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """people: whom to take where there are several. min_confidence: of a joint that is seen."""

    people: Rule = "error"
    min_confidence: float = 0.3

    def __post_init__(self) -> None:
        if not 0 <= self.min_confidence <= 1:
            raise ConfigError(
                f"min_confidence is {self.min_confidence}, expected a number from 0 to 1."
            )


def find_person(
    detector: PoseDetector, picture: Image.Image, name: str, choice: Choice
) -> DetectedPerson:
    """Find the one person that is meant; joints that are not sure enough get confidence 0.

    Errors: DataError, calling the picture `name`, for nobody, for several people under the rule
    "error", and for a person without a joint that is sure enough.
    """
    person = choose_person(detector.detect(picture), name, choice.people)
    seen = hide_unsure(person, choice.min_confidence)
    if not seen.body[:, 2].any():
        raise DataError(
            f"{name}: no joint of the person is as sure as {choice.min_confidence:g}, the surest "
            f"{person.body[:, 2].max():.2f}. Lower --min_confidence, or take another picture."
        )
    return seen


def choose_person(people: Sequence[DetectedPerson], name: str, rule: Rule) -> DetectedPerson:
    """Choose one person: the only one, or the one with the largest box or the surest joints."""
    if not people:
        raise DataError(
            f"{name}: no person found, expected one. Take a picture that shows someone, or write "
            "the joints into a JSON file."
        )
    if len(people) > 1 and rule == "error":
        boxes = "; ".join(_shown(person) for person in people[:_SHOWN_BOXES])
        more = "; ..." if len(people) > _SHOWN_BOXES else ""
        raise DataError(
            f"{name}: {len(people)} people found, expected one; their boxes (left, top, right, "
            f"bottom in [0,1]): {boxes}{more}. Cut the picture, or choose by --people=largest or "
            "--people=surest."
        )
    if rule == "surest":
        return max(people, key=lambda person: person.confidence)
    return max(people, key=_area)


def hide_unsure(person: DetectedPerson, min_confidence: float) -> DetectedPerson:
    """Give every joint that is less sure confidence 0, which is what an unseen one has."""

    hands, face = person.hands, person.face
    return replace(
        person,
        body=_hide(person.body, min_confidence),
        hands=None if hands is None else _hide(hands, min_confidence),
        face=None if face is None else _hide(face, min_confidence),
    )


def person_finder(detector: PoseDetector, choice: Choice) -> PoseFinder:
    """Make what finds the joints (18,3) of a photograph that has none; 0 = not seen."""
    return lambda picture, name: find_person(detector, picture, name, choice).body


def _hide(joints: np.ndarray, min_confidence: float) -> np.ndarray:
    hidden = joints.copy()
    hidden[hidden[..., 2] < min_confidence, 2] = 0
    return hidden


def _area(person: DetectedPerson) -> float:
    left, top, right, bottom = person.box
    return (right - left) * (bottom - top)


def _shown(person: DetectedPerson) -> str:
    return ", ".join(f"{edge:.2f}" for edge in person.box)
