from pathlib import Path

import numpy as np
import pytest
import tiny_world as world

from jcdm.data.index import read_index
from jcdm.errors import DataError
from jcdm.evaluation.frames import copy_nearest_frame, measure_frames, read_sequence
from jcdm.evaluation.score_sequence import mean_errors


def frames(seed: int, count: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 4, 4, 3), np.uint8)


def test_scores_along_time_equal_loops() -> None:
    ours, truth = frames(0), frames(1)
    scored = np.array([False, True, True, True, False, True, True, False])
    values = measure_frames(ours, truth, scored)
    pairs = [(1, 2), (2, 3), (5, 6)]
    a, b = ours / 255, truth / 255
    expected = [abs(a[j] - a[i]).mean() - abs(b[j] - b[i]).mean() for i, j in pairs]
    assert values["flicker"] == pytest.approx(expected)
    expected = [abs((a[j] - a[i]) - (b[j] - b[i])).mean() for i, j in pairs]
    assert values["change error"] == pytest.approx(expected)
    assert values["drift"] == pytest.approx([abs(a[6] - b[6]).mean() - abs(a[1] - b[1]).mean()])


def test_given_frames_do_not_count() -> None:
    ours, truth = frames(0), frames(1)
    scored = np.array([False, True, True, True, False, True, True, True])
    before = measure_frames(ours, truth, scored)
    ours[~scored] = 0
    assert measure_frames(ours, truth, scored) == before
    ours[5] = 0
    assert measure_frames(ours, truth, scored) != before


def test_the_truth_neither_flickers_nor_drifts() -> None:
    truth = frames(1)
    values = measure_frames(truth, truth, np.ones(8, bool))
    assert values == {"flicker": [0.0] * 7, "change error": [0.0] * 7, "drift": [0.0]}


def test_references_are_spread_and_not_scored(tmp_path: Path) -> None:
    index = world.save_people(tmp_path / "data", num_people=1, num_views=8)
    (record,) = read_index(index)
    sequence = read_sequence(record, (32, 16), "crop", 2)
    assert sequence.references == (0, 4)
    assert np.flatnonzero(sequence.scored).tolist() == [1, 2, 3, 5, 6, 7]
    assert sequence.keypoints.shape == (8, 18, 3)
    copied = copy_nearest_frame(sequence)
    for number, frame in enumerate(copied):
        joints = sequence.keypoints[:, :, :2]
        distances = [np.linalg.norm(joints[number] - joints[r], axis=1).mean() for r in (0, 4)]
        assert np.array_equal(frame, sequence.frames[(0, 4)[int(np.argmin(distances))]])
    with pytest.raises(DataError, match="has 8 frames, expected at least 9"):
        read_sequence(record, (32, 16), "crop", 7)


def test_mean_errors_leave_out_what_no_sequence_scored() -> None:
    errors = [np.array([np.nan, 0.2, 0.4]), np.array([np.nan, 0.4])]
    assert mean_errors(errors) == ([1.0, 2.0], pytest.approx([0.3, 0.4]))
