"""Follow one person from frame to frame where several people are seen."""

from collections.abc import Sequence

import numpy as np

from jcdm.poses.choose import Choice, choose_person, hide_unsure
from jcdm.poses.detector import DetectedPerson

FARTHEST_STEP = 0.5
"""How far a person may go from one frame to the next, in diagonals of their box."""

_FEWEST_JOINTS = 3  # seen in both frames, before their distance counts


class Follower:
    """Remembers where a person was last seen, and finds them again.

    choice: whom to take in the first frame that shows anybody, and which joints count as seen.
    """

    def __init__(self, choice: Choice) -> None:
        self.choice = choice
        self.last: DetectedPerson | None = None
        self.num_missed = 0

    def find(
        self, people: Sequence[DetectedPerson], aspect: float, name: str
    ) -> DetectedPerson | None:
        """Find the person among the people of the next frame; None where they are not seen.

        It is the one whose joints lie nearest to where they were, no farther than FARTHEST_STEP
        times the frames that have passed. aspect: width / height of the frame. Errors: DataError,
        calling the frame `name`, where the first frame shows several and the rule is "error".
        """
        person = self._nearest(people, aspect) if self.last else self._first(people, name)
        seen = None if person is None else hide_unsure(person, self.choice.min_confidence)
        if seen is None or not seen.body[:, 2].any():
            self.num_missed += 1
            return None
        self.last, self.num_missed = seen, 0
        return seen

    def _first(self, people: Sequence[DetectedPerson], name: str) -> DetectedPerson | None:
        return choose_person(people, name, self.choice.people) if people else None

    def _nearest(self, people: Sequence[DetectedPerson], aspect: float) -> DetectedPerson | None:
        assert self.last is not None
        last, limit = self.last, FARTHEST_STEP * (1 + self.num_missed)
        steps = [_step(last, person, self.choice.min_confidence, aspect) for person in people]
        if not steps or min(steps) > limit:
            return None
        return people[int(np.argmin(steps))]


def _step(last: DetectedPerson, person: DetectedPerson, sure: float, aspect: float) -> float:
    """How far apart two sightings are, in diagonals of the earlier one's box."""
    left, top, right, bottom = last.box
    diagonal = max(float(np.hypot((right - left) * aspect, bottom - top)), 1e-6)
    both = (last.body[:, 2] > 0) & (person.body[:, 2] >= max(sure, 1e-6))
    if both.sum() >= _FEWEST_JOINTS:
        ways = person.body[both, :2] - last.body[both, :2]
    else:
        ways = (_middle(person) - _middle(last))[None]
    return float(np.hypot(ways[:, 0] * aspect, ways[:, 1]).mean()) / diagonal


def _middle(person: DetectedPerson) -> np.ndarray:
    left, top, right, bottom = person.box
    return np.array([left + right, top + bottom]) / 2
