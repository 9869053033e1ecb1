"""Frames of a drawn sequence move smoothly in front of a fixed camera."""

import numpy as np
import pytest

from jcdm.data.synthetic import Region, render_frame
from jcdm.errors import ConfigError

SIZE = (96, 72)
NUM_FRAMES = 16


def _frames(motion: str, identity: int = 0) -> list:
    return [
        render_frame(
            seed=0, identity=identity, frame=k, num_frames=NUM_FRAMES, motion=motion, size=SIZE
        )
        for k in range(NUM_FRAMES)
    ]


def _distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(float) - b.astype(float)).mean())


@pytest.mark.parametrize("motion", ["walk", "turn"])
def test_neighbouring_frames_are_closer_than_distant_ones(motion: str) -> None:
    joints = [frame.keypoints for frame in _frames(motion)]
    step = [_distance(joints[k], joints[(k + 1) % NUM_FRAMES]) for k in range(NUM_FRAMES)]
    far = [_distance(joints[k], joints[(k + 8) % NUM_FRAMES]) for k in range(NUM_FRAMES)]
    assert min(step) > 0.0
    assert np.mean(step) < 0.6 * np.mean(far)
    assert max(step) < 4.0 * np.median(step), "a frame jumps"


def test_turning_shows_every_side_and_walking_only_one() -> None:
    yaws = np.array([frame.yaw for frame in _frames("turn")])
    steps = (np.diff(yaws) + 180.0) % 360.0 - 180.0
    np.testing.assert_allclose(np.abs(steps), 360.0 / NUM_FRAMES, atol=1e-6)
    assert len({frame.yaw for frame in _frames("walk")}) == 1


@pytest.mark.parametrize("motion", ["walk", "turn"])
def test_the_person_stays_inside_and_the_wall_does_not_change(motion: str) -> None:
    for identity in (0, 3):
        frames = _frames(motion, identity)
        for frame in frames:
            person = frame.regions != Region.BACKGROUND
            assert not (person[0].any() or person[-1].any())
            assert not (person[:, 0].any() or person[:, -1].any())
            np.testing.assert_array_equal(frame.image[:2], frames[0].image[:2])


@pytest.mark.parametrize(
    "wrong", [{"frame": NUM_FRAMES}, {"frame": -1}, {"motion": "fly"}, {"size": (4, 4)}]
)
def test_wrong_arguments_are_refused(wrong: dict) -> None:
    good = {"seed": 0, "identity": 0, "frame": 0, "num_frames": NUM_FRAMES, "motion": "walk"}
    with pytest.raises(ConfigError):
        render_frame(**({"size": SIZE} | good | wrong))
