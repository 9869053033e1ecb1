"""One person's pose is found in every frame of a film, others and short gaps notwithstanding."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from colour_detector import ColourDetector, at, draw_dots
from film_files import write_film
from PIL import Image

from jcdm.data.pose_files import read_pose_file
from jcdm.errors import ConfigError, DataError
from jcdm.poses.choose import Choice
from jcdm.poses.film import FilmCut, FilmFrame, read_film
from jcdm.poses.film_overlay import keep_small, write_overlay
from jcdm.poses.sequence import SequenceOptions, find_sequence, write_sequence

SIZE = (144, 192)
LARGEST = Choice(people="largest")


def walk(step: float = 0.02, count: int = 10) -> list[np.ndarray]:
    return [at(0.02 + step * i) for i in range(count)]


def film_of(*people: Sequence[np.ndarray], rate: float = 10) -> list[FilmFrame]:
    return [
        FilmFrame(
            picture=Image.fromarray(draw_dots(dict(enumerate(joints)), SIZE)), seconds=i / rate
        )
        for i, joints in enumerate(zip(*people, strict=True))
    ]


def pixels_away(pose: np.ndarray, truth: np.ndarray) -> float:
    return float(np.abs((pose[:, :2] - truth) * SIZE[::-1]).max())


def test_a_written_film_gives_the_joints_drawn_into_it(tmp_path: Path) -> None:
    truth = walk(count=12)
    frames = [draw_dots({0: joints}, SIZE) for joints in truth]
    film = write_film(
        tmp_path / "walk.mp4", frames, [i / 24 for i in range(12)], exact_colours=True
    )
    pictures: list[Image.Image] = []
    shown = keep_small(read_film(film, FilmCut(fps=12)), pictures)
    sequence = find_sequence(shown, ColourDetector(), SequenceOptions(), film.name)
    assert sequence.seconds == pytest.approx([i / 12 for i in range(6)])
    for pose, joints in zip(sequence.poses, truth[::2], strict=True):
        assert pose.size == SIZE and (pose.keypoints[:, 2] > 0).all()
        assert pixels_away(pose.keypoints, joints) < 1.5
    write_sequence(tmp_path / "walk.json", sequence, film=film.name)
    back = read_pose_file(tmp_path / "walk.json")
    for pose, stored in zip(sequence.poses, back, strict=True):
        np.testing.assert_allclose(stored.keypoints, pose.keypoints, atol=1e-6)
        assert stored.size == SIZE and stored.detector == "coloured dots"
    content = json.loads((tmp_path / "walk.json").read_text())
    assert content["seconds"] == pytest.approx(sequence.seconds, abs=1e-6)
    assert (content["bridged"], content["unseen"], content["film"]) == ([], [], "walk.mp4")
    written = write_overlay(pictures, sequence, tmp_path / "overlay.mp4")
    over = [np.asarray(frame.picture).astype(int) for frame in read_film(written)]
    assert len(over) == 6 and over[0].shape == (*SIZE, 3)
    middle = ((truth[4][1] + truth[4][8]) / 2 * SIZE[::-1]).astype(int)  # between neck and hip
    assert over[2][middle[1], middle[0]].max() > 60 > over[0][5, 180].max()


def test_the_person_of_the_first_frame_is_followed_past_a_larger_one() -> None:
    chosen = [at(0.02 + 0.05 * i, scale=0.35) for i in range(10)]  # walks from left to right
    other = [at(0.55 - 0.05 * i, y=0.45, scale=0.3 + 0.02 * i) for i in range(10)]
    film = film_of(chosen, other)
    sequence = find_sequence(film, ColourDetector(), SequenceOptions(choice=LARGEST), "film")
    away = [pixels_away(p.keypoints, t) for p, t in zip(sequence.poses, chosen, strict=True)]
    assert max(away) < 1.5
    swapped = find_sequence(
        film_of(chosen[::-1], other[::-1]), ColourDetector(), SequenceOptions(choice=LARGEST), "f"
    )
    away = [pixels_away(p.keypoints, t) for p, t in zip(swapped.poses, other[::-1], strict=True)]
    assert max(away) < 1.5, "the larger person of the first frame is the one to follow"


def test_several_people_in_the_first_frame_need_a_rule() -> None:
    film = film_of(walk(), [at(0.55, y=0.5) for _ in range(10)])
    with pytest.raises(DataError, match=r"film at 0\.00 s: 2 people found"):
        find_sequence(film, ColourDetector(), SequenceOptions(), "film")
    joined = [np.full((18, 2), -1.0)] * 3 + [at(0.55, y=0.5)] * 7  # comes in later
    sequence = find_sequence(film_of(walk(), joined), ColourDetector(), SequenceOptions(), "film")
    away = [pixels_away(p.keypoints, t) for p, t in zip(sequence.poses, walk(), strict=True)]
    assert max(away) < 1.5


def test_nobody_else_is_taken_for_a_person_who_has_left() -> None:
    gone = [at(0.02, y=0.02, scale=0.3)] * 4 + [np.full((18, 2), -1.0)] * 2
    other = [at(0.7, y=0.7, scale=0.25)] * 6
    options = SequenceOptions(choice=LARGEST, long_gaps="unseen")
    sequence = find_sequence(film_of(gone, other), ColourDetector(), options, "film")
    away = [pixels_away(p.keypoints, t) for p, t in zip(sequence.poses, gone[:4], strict=False)]
    assert max(away) < 1.5
    assert sequence.unseen == (4, 5)


def test_a_person_may_go_farther_the_longer_they_are_unseen() -> None:
    quick = [at(0.02 + 0.09 * i, scale=0.3) for i in range(7)]
    detector = ColourDetector(hidden=(2, 3, 4))
    sequence = find_sequence(film_of(quick), detector, SequenceOptions(), "film")
    assert (sequence.bridged, sequence.unseen) == ((2, 3, 4), ())
    away = [pixels_away(p.keypoints, t) for p, t in zip(sequence.poses, quick, strict=True)]
    assert max(away) < 1.5


def test_a_short_gap_is_filled_in_between_with_half_the_confidence() -> None:
    truth = walk()
    hidden = (3, 4, 7)
    sequence = find_sequence(
        film_of(truth), ColourDetector(hidden=hidden), SequenceOptions(max_gap=2), "film"
    )
    assert (sequence.bridged, sequence.unseen) == (hidden, ())
    for number, (pose, joints) in enumerate(zip(sequence.poses, truth, strict=True)):
        assert pixels_away(pose.keypoints, joints) < 1.5
        sure = 0.45 if number in hidden else 0.9
        np.testing.assert_allclose(pose.keypoints[:, 2], sure)


def test_a_joint_that_flickers_is_filled_in_alone() -> None:
    truth = walk()
    film = film_of([joints.copy() for joints in truth])
    shown = [joints.copy() for joints in truth]
    for number in (4, 5):
        shown[number][4] = (-1, -1)
    for number in range(6, 10):
        shown[number][7] = (-1, -1)
    sequence = find_sequence(film_of(shown), ColourDetector(), SequenceOptions(), "film")
    whole = find_sequence(film, ColourDetector(), SequenceOptions(), "film")
    assert sequence.bridged == ()
    for number in (4, 5):
        pose = sequence.poses[number].keypoints
        assert pixels_away(pose, truth[number]) < 1.5
        assert pose[4, 2] == pytest.approx(0.45) and pose[3, 2] == pytest.approx(0.9)
    assert all(pose.keypoints[7, 2] == 0 for pose in sequence.poses[6:]), "nothing follows it"
    np.testing.assert_array_equal(sequence.poses[0].keypoints, whole.poses[0].keypoints)


def test_a_long_gap_is_an_error_or_stays_unseen() -> None:
    film, hidden = film_of(walk()), (0, 4, 5, 6)
    with pytest.raises(DataError) as caught:
        find_sequence(film, ColourDetector(hidden=hidden), SequenceOptions(max_gap=2), "film")
    assert "frames 0 to 0 (0.00 to 0.00 s); frames 4 to 6 (0.40 to 0.60 s)" in str(caught.value)
    options = SequenceOptions(max_gap=2, long_gaps="unseen")
    sequence = find_sequence(film, ColourDetector(hidden=hidden), options, "film")
    assert (sequence.bridged, sequence.unseen) == ((), hidden)
    assert all(not sequence.poses[number].keypoints.any() for number in hidden)
    enough = SequenceOptions(max_gap=3, long_gaps="unseen")
    assert find_sequence(film, ColourDetector(hidden=hidden), enough, "f").bridged == (4, 5, 6)


def test_a_film_without_anybody_is_refused() -> None:
    with pytest.raises(DataError, match="no person in any of 10 frames"):
        find_sequence(film_of(walk()), ColourDetector(hidden=tuple(range(10))),
                      SequenceOptions(long_gaps="unseen"), "film")  # fmt: skip
    unsure = SequenceOptions(choice=Choice(min_confidence=0.95))
    with pytest.raises(DataError, match=r"as sure as 0\.95"):
        find_sequence(film_of(walk()), ColourDetector(), unsure, "film")


def test_hands_and_face_are_kept_and_bridged_where_the_detector_finds_them() -> None:
    detector = ColourDetector(hidden=(2,), details=True)
    sequence = find_sequence(film_of(walk()), detector, SequenceOptions(), "film")
    for number, pose in enumerate(sequence.poses):
        assert pose.hands is not None and pose.face is not None
        np.testing.assert_allclose(pose.hands[0, 5, :2], pose.keypoints[7, :2])
        np.testing.assert_allclose(pose.hands[1, 20, :2], pose.keypoints[4, :2])
        np.testing.assert_allclose(pose.face[67, :2], pose.keypoints[0, :2])
        assert pose.face[0, 2] == pytest.approx(0.45 if number == 2 else 0.9)
    plain = find_sequence(film_of(walk()), ColourDetector(), SequenceOptions(), "film")
    assert plain.poses[0].hands is None and plain.poses[0].face is None


def test_smoothing_calms_trembling_and_nothing_else() -> None:
    stream = np.random.default_rng(1)
    truth = walk(count=30, step=0.01)
    shaky = [joints + stream.normal(0, 0.01, (18, 2)) for joints in truth]
    calm = find_sequence(
        film_of(shaky), ColourDetector(), SequenceOptions(smoothing=0.2), "f"
    ).poses
    plain = find_sequence(film_of(shaky), ColourDetector(), SequenceOptions(), "f").poses
    inner = slice(5, 25)  # a mean over time is one-sided at the ends
    errors = [
        np.mean([
            np.abs(p.keypoints[:, :2] - t).mean()
            for p, t in zip(poses[inner], truth[inner], strict=True)
        ])
        for poses in (calm, plain)
    ]  # fmt: skip
    assert errors[0] < 0.6 * errors[1]


@pytest.mark.parametrize("wrong", [{"max_gap": -1}, {"smoothing": -0.1}, {"smoothing": np.inf}])
def test_impossible_options_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="expected"):
        SequenceOptions(**wrong)  # type: ignore[arg-type]
