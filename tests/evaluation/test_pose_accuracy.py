"""PCKh and OKS equal a computation by hand, and no truth helps to choose among people."""

import math

import numpy as np
import pytest
from person_pairs import NOBODY, batch, drawn, noisy, picture, pose
from PIL import Image

from jcdm.data.keypoints import JOINT_NAMES
from jcdm.errors import ConfigError
from jcdm.evaluation.pair_scores import PairBatch
from jcdm.evaluation.person_scores.masks import person_mask
from jcdm.evaluation.person_scores.pose_accuracy import (
    SIGMAS,
    PoseAccuracy,
    head_size,
    person_area,
)
from jcdm.poses.detector import DetectedPerson

SIZE = (100, 80)
COCO = {  # sigmas by COCO's names, as its evaluation has them
    "nose": 0.26,
    "left_eye": 0.25,
    "right_eye": 0.25,
    "left_ear": 0.35,
    "right_ear": 0.35,
    "left_shoulder": 0.79,
    "right_shoulder": 0.79,
    "left_elbow": 0.72,
    "right_elbow": 0.72,
    "left_wrist": 0.62,
    "right_wrist": 0.62,
    "left_hip": 1.07,
    "right_hip": 1.07,
    "left_knee": 0.87,
    "right_knee": 0.87,
    "left_ankle": 0.89,
    "right_ankle": 0.89,
}


class Finder:
    """A detector that returns what it is told, picture after picture."""

    identity = "told"

    def __init__(self, *answers: tuple[DetectedPerson, ...]) -> None:
        self.answers, self.pictures = list(answers), []

    def detect(self, picture: Image.Image) -> tuple[DetectedPerson, ...]:
        self.pictures.append(picture)
        return self.answers[len(self.pictures) - 1]


def person(joints: np.ndarray, box: tuple[float, ...] = (0.1, 0.1, 0.9, 0.9)) -> DetectedPerson:
    return DetectedPerson(body=joints, box=box)


def truth_pose() -> np.ndarray:
    joints = pose(drawn(0)).copy()
    assert joints[:, 2].sum() == 18
    return joints


def pairs(*poses: np.ndarray) -> PairBatch:
    blank = np.zeros((*SIZE, 3), np.float32)
    return batch(*[(blank, blank, joints) for joints in poses])


def by_hand(found: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Joint by joint, the slow way."""
    height, width = SIZE
    face = [JOINT_NAMES.index(n) for n in ("nose", "right_eye", "left_eye", "right_ear")]
    box = [(truth[i, 0] * width, truth[i, 1] * height) for i in (*face, 17, 1)]
    xs, ys = [x for x, _ in box], [y for _, y in box]
    head = 0.6 * math.hypot(max(xs) - min(xs), max(ys) - min(ys))
    mask = person_mask(truth, SIZE)
    assert mask is not None
    ys, xs = np.nonzero(mask)
    area = 0.53 * (ys.max() - ys.min() + 1) * (xs.max() - xs.min() + 1)
    hits, alike, known = 0, 0.0, 0
    for i, name in enumerate(JOINT_NAMES):
        if truth[i, 2] == 0:
            continue
        known += 1
        if found[i, 2] < 0.3:
            continue
        dx, dy = (found[i, 0] - truth[i, 0]) * width, (found[i, 1] - truth[i, 1]) * height
        hits += math.hypot(dx, dy) <= 0.5 * head
        k = 2 * COCO.get(name, COCO["left_shoulder"]) / 10
        alike += math.exp(-(dx**2 + dy**2) / (2 * area * k**2))
    return hits / known, alike / known


def test_both_scores_equal_a_computation_by_hand() -> None:
    rng = np.random.default_rng(0)
    truth = truth_pose()
    for strength in (0.01, 0.03, 0.1):
        found = truth.copy()
        found[:, :2] += strength * rng.standard_normal((18, 2))
        found[:, 2] = rng.uniform(0.2, 1, 18)
        values = PoseAccuracy(Finder((person(found),))).score(pairs(truth))
        pckh, oks = by_hand(found, truth)
        assert values["pckh"][0] == pytest.approx(pckh, rel=1e-9)
        assert values["oks"][0] == pytest.approx(oks, rel=1e-4)
        assert 0 < values["oks"][0] < 1


def test_a_better_pose_scores_higher_and_the_truth_is_one() -> None:
    truth, other = truth_pose(), pose(drawn(4, 4))
    near = truth.copy()
    near[4:8, 0] += 0.06
    answers = [(person(joints),) for joints in (truth, near, other)] + [()]
    values = PoseAccuracy(Finder(*answers)).score(pairs(*[truth] * 4))
    for name in ("pckh", "oks"):
        first, second, third, nobody = values[name]
        assert first == 1 > second > third >= nobody == 0, name
        assert values[name].dtype == np.float64


def test_a_joint_half_a_head_off_counts_and_one_farther_does_not() -> None:
    truth = truth_pose()
    head = head_size(truth, SIZE)
    assert head is not None
    for share, expected in ((0.499, 1.0), (0.501, 17 / 18)):
        found = truth.astype(np.float64)
        found[10, 0] += share * head / SIZE[1]
        values = PoseAccuracy(Finder((person(found),))).score(pairs(truth))
        assert values["pckh"][0] == pytest.approx(expected)


def test_joints_that_the_truth_does_not_know_do_not_count() -> None:
    truth = truth_pose()
    truth[[4, 7], 2] = 0
    found = truth_pose()
    found[[4, 7], :2] += 0.3
    values = PoseAccuracy(Finder((person(found),))).score(pairs(truth))
    assert values["pckh"][0] == values["oks"][0] == 1
    found[[9, 10], 2] = 0.1
    values = PoseAccuracy(Finder((person(found),))).score(pairs(truth))
    assert values["pckh"][0] == pytest.approx(14 / 16) == values["oks"][0]
    lenient = PoseAccuracy(Finder((person(found),)), min_confidence=0.05).score(pairs(truth))
    assert lenient["pckh"][0] == 1


def test_of_several_people_the_truth_does_not_choose() -> None:
    truth, wrong = truth_pose(), truth_pose()
    wrong[:, 0] = 1 - wrong[:, 0] + 0.3
    wrong[:, 2] = 0.5
    small, large = (0.4, 0.4, 0.6, 0.6), (0.0, 0.0, 1.0, 1.0)
    people = (person(truth, small), person(wrong, large))
    for order in (people, people[::-1]):
        assert PoseAccuracy(Finder(order)).score(pairs(truth))["pckh"][0] < 0.5
        surest = PoseAccuracy(Finder(order), people="surest").score(pairs(truth))
        assert surest["pckh"][0] == 1
    with pytest.raises(ConfigError, match="largest or surest"):
        PoseAccuracy(Finder(), people="error")


def test_only_a_truth_without_size_is_nan() -> None:
    lone = NOBODY.copy()
    lone[4] = (0.5, 0.5, 1)
    headless = truth_pose()
    headless[[0, 14, 15, 16, 17], 2] = 0
    poses = [NOBODY, lone, headless]
    finder = Finder((person(headless),))
    values = PoseAccuracy(finder).score(pairs(*poses))
    assert len(finder.pictures) == 1, "nothing is looked for where there is no truth"
    for name in ("pckh", "oks"):
        assert np.isnan(values[name]).tolist() == [True, True, False] and values[name][2] == 1
    whole, body = head_size(truth_pose(), SIZE), head_size(headless, SIZE)
    assert whole is not None and body == pytest.approx(whole, rel=0.35)
    assert person_area(NOBODY, SIZE) is None


def test_the_detector_sees_the_generated_picture() -> None:
    shown = drawn(0)
    truth, joints = picture(shown), pose(shown)
    generated = noisy(truth, 0.2) * 1.2 - 0.1
    finder = Finder((person(joints),), (person(joints),))
    PoseAccuracy(finder).score(batch((generated, truth, joints), (truth, generated, joints)))
    expected = np.clip(generated * 255, 0, 255).round().astype(np.uint8)
    np.testing.assert_array_equal(np.asarray(finder.pictures[0]), expected)
    np.testing.assert_array_equal(np.asarray(finder.pictures[1]), shown.image)


def test_sigmas_and_identity() -> None:
    for name, sigma in COCO.items():
        assert SIGMAS[JOINT_NAMES.index(name)] == pytest.approx(sigma / 10)
    finders = [Finder(), Finder()]
    finders[1].identity = "other weights"
    found = {PoseAccuracy(finder).identity for finder in finders}
    found.add(PoseAccuracy(finders[0], people="surest").identity)
    found.add(PoseAccuracy(finders[0], min_confidence=0.2).identity)
    assert len(found) == 4
