"""`poses video` from a written film to JSON and an overlay, the detector alone being a stand-in."""

import json
from pathlib import Path

import numpy as np
import pytest
from colour_detector import ColourDetector, at, draw_dots
from film_files import write_film

from jcdm.cli import poses_video
from jcdm.cli.main import main
from jcdm.data.pose_files import read_pose_file
from jcdm.poses.film import read_film

SIZE = (144, 192)


@pytest.fixture
def film(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(poses_video, "build_detector", lambda _: ColourDetector(hidden=(2,)))
    frames = [draw_dots({0: at(0.02 + 0.02 * i)}, SIZE) for i in range(16)]
    times = [i / 16 for i in range(16)]
    return write_film(tmp_path / "walk.mp4", frames, times, exact_colours=True)


def test_a_film_becomes_poses_and_an_overlay(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, overlay = tmp_path / "new" / "walk.json", tmp_path / "overlay.mp4"
    words = ["poses", "video", "--film", str(film), "--out", str(out), "--overlay", str(overlay)]
    assert main([*words, "--end", "0.75"]) == 0
    poses = read_pose_file(out)
    assert len(poses) == 6
    for number, pose in enumerate(poses):
        away = np.abs(pose.keypoints[:, :2] - at(0.02 + 0.04 * number)) * SIZE[::-1]
        assert away.max() < 1.5 and pose.size == SIZE and pose.detector == "coloured dots"
    content = json.loads(out.read_text())
    assert (content["fps"], content["film"], content["bridged"]) == (8.0, "walk.mp4", [2])
    assert len(list(read_film(overlay))) == 6
    assert "6 poses" in capsys.readouterr().out


def test_every_frame_is_taken_without_a_rate(film: Path, tmp_path: Path) -> None:
    words = ["poses", "video", "--film", str(film), "--out", str(tmp_path / "all.json")]
    assert main([*words, "--fps", "null", "--max_frames", "9", "--start", "0.25"]) == 0
    content = json.loads((tmp_path / "all.json").read_text())
    assert content["fps"] is None
    assert content["seconds"] == pytest.approx([0.25 + i / 16 for i in range(9)], abs=1e-3)


def test_an_unbridged_gap_ends_in_one_line(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["poses", "video", "--film", str(film), "--out", str(tmp_path / "no.json")]
    assert main([*words, "--max_gap", "0"]) == 1
    said = capsys.readouterr().err
    assert "walk.mp4: the person is not seen in frames 2 to 2 (0.25 to 0.25 s)" in said
    assert said.count("\n") == 1 and not (tmp_path / "no.json").exists()
