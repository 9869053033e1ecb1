"""Does the painted person stand as it should? The pose found in it, against the true one."""

import math
from collections.abc import Mapping

import numpy as np

from jcdm.data.keypoints import JOINT_NAMES
from jcdm.errors import ConfigError
from jcdm.evaluation.pair_scores import PairBatch
from jcdm.evaluation.person_scores.masks import MASK_IDENTITY, Size, person_mask
from jcdm.evaluation.person_scores.pictures import to_image
from jcdm.evaluation.person_scores.stature import PixelPose
from jcdm.poses.choose import Rule, choose_person, hide_unsure
from jcdm.poses.detector import PoseDetector

_PCKH_SHARE = 0.5  # head sizes that a joint may be off
_FACE = ("nose", "right_eye", "left_eye", "right_ear", "left_ear")
_HEAD_FACTOR = 0.6  # head size over the diagonal of the head's box (Andriluka et al., 2014)
_HEAD_PER_STATURE = 0.09  # head size where neck or face is not known
_AREA_PER_BOX = 0.53  # a person's area over its box's, usual where COCO's outlines are missing
_SIGMAS = {
    "nose": 0.026,
    "eye": 0.025,
    "ear": 0.035,
    "neck": 0.079,  # not one of COCO's joints: taken to be a shoulder's
    "shoulder": 0.079,
    "elbow": 0.072,
    "wrist": 0.062,
    "hip": 0.107,
    "knee": 0.087,
    "ankle": 0.089,
}
SIGMAS = np.array([_SIGMAS[name.split("_")[-1]] for name in JOINT_NAMES])
"""Spread of COCO's annotators, a joint (18,), as a share of the root of the person's area."""


class PoseAccuracy:
    """PCKh and OKS of the pose that a detector finds in the generated picture; both in [0,1].

    pckh: share of the true joints that are found within half a head size (`head_size`). oks: mean
    over the true joints of exp(-d^2 / (2 area (2 sigma)^2)), COCO's object keypoint similarity.
    A true joint that is not found counts 0, a joint of confidence 0 in truth does not count. Nobody
    found gives 0. Of several people `people` chooses, by box or by confidence, never by the truth.
    NaN only where the truth has no two neighbouring joints, hence no size.
    """

    names: tuple[str, ...] = ("pckh", "oks")

    def __init__(
        self, detector: PoseDetector, *, people: Rule = "largest", min_confidence: float = 0.3
    ) -> None:
        if people == "error":
            raise ConfigError(
                "people is error: a score of many pictures goes on where several people are found; "
                "choose largest or surest."
            )
        self.detector, self.people, self.min_confidence = detector, people, min_confidence

    @property
    def identity(self) -> str:
        """Name the detector, the choice of people and joints, and the measure of sizes."""
        rules = (_PCKH_SHARE, _HEAD_FACTOR, _HEAD_PER_STATURE, _AREA_PER_BOX, SIGMAS.tolist())
        chosen = f"{self.people} {self.min_confidence}"
        return f"pose accuracy {self.detector.identity} {chosen} {MASK_IDENTITY} {rules}"

    def score(self, batch: PairBatch) -> Mapping[str, np.ndarray]:
        """Score every pair."""
        pairs = zip(batch.generated, batch.poses, strict=True)
        table = np.array([self._score(picture, pose) for picture, pose in pairs]).reshape(-1, 2)
        return {"pckh": table[:, 0].copy(), "oks": table[:, 1].copy()}

    def _score(self, generated: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
        size = (generated.shape[0], generated.shape[1])
        scales = head_size(truth, size), person_area(truth, size)
        if scales[0] is None or scales[1] is None:
            return math.nan, math.nan
        gaps = joint_gaps(self._find(generated), truth, size)
        near = gaps <= _PCKH_SHARE * scales[0]
        known = truth[:, 2] > 0
        alike = np.exp(-(gaps**2) / (2 * scales[1] * (2 * SIGMAS) ** 2))
        return float(near[known].mean()), float(alike[known].mean())

    def _find(self, picture: np.ndarray) -> np.ndarray:
        """Joints (18,3) of the person that is chosen in a picture; confidence 0 = not found."""
        people = self.detector.detect(to_image(picture))
        if not people:
            return np.zeros((len(JOINT_NAMES), 3))
        person = choose_person(people, "generated picture", self.people)
        return hide_unsure(person, self.min_confidence).body


def joint_gaps(found: np.ndarray, truth: np.ndarray, size: Size) -> np.ndarray:
    """Distances in pixels of joints (18,3), (18,); infinite where a joint is not found."""
    ways = (found[:, :2].astype(np.float64) - truth[:, :2]) * size[::-1]
    return np.where(found[:, 2] > 0, np.linalg.norm(ways, axis=1), math.inf)


def head_size(truth: np.ndarray, size: Size) -> float | None:
    """Head size in pixels: 0.6 times the diagonal of the box about neck, nose, eyes and ears.

    Andriluka et al. (2014) have 0.6 times the diagonal of an annotated head box, which OpenPose's
    joints do not give; the box of these joints is the one of the field's older scripts. Where the
    neck or the whole face is not known, it is a share of the stature. None without a stature.
    """
    body = PixelPose.measure(truth, size)
    if body is None:
        return None
    neck, face = body.find("neck"), body.find(*_FACE)
    if not len(neck) or not len(face):
        return _HEAD_PER_STATURE * body.stature
    corners = np.concatenate([neck, face])
    return _HEAD_FACTOR * float(np.linalg.norm(corners.max(0) - corners.min(0)))


def person_area(truth: np.ndarray, size: Size) -> float | None:
    """Area of a person in square pixels: 0.53 of the box about its mask; None without a mask."""
    mask = person_mask(truth, size)
    if mask is None:
        return None
    rows, columns = np.nonzero(mask.any(1))[0], np.nonzero(mask.any(0))[0]
    return _AREA_PER_BOX * float((np.ptp(rows) + 1) * (np.ptp(columns) + 1))
