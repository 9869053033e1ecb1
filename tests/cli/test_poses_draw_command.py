"""`poses draw`: files of poses become pose maps, one PNG a pose."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jcdm.cli.main import main
from jcdm.data.pose_files import StoredPose, write_pose_file
from jcdm.data.pose_maps import draw_pose_map
from jcdm.data.synthetic import render_view


def pose(view: int, size: tuple[int, int] | None = (128, 96), **details: np.ndarray) -> StoredPose:
    drawn = render_view(seed=5, identity=1, view=view, size=(64, 48))
    joints = np.column_stack([drawn.keypoints, drawn.keypoint_valid])
    return StoredPose(keypoints=np.where(joints[:, 2:] > 0, joints, 0), size=size, **details)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "poses"
    folder.mkdir()
    write_pose_file(folder / "one.json", (pose(0),))
    write_pose_file(folder / "dance.json", (pose(1), pose(2, (64, 96))))
    return folder


def read(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


def expected(wanted: StoredPose, size: tuple[int, int]) -> np.ndarray:
    joints = wanted.keypoints.round(6)
    return draw_pose_map(joints[:, :2], joints[:, 2] > 0, *size)


def test_a_folder_is_drawn_at_the_size_of_its_frames(files: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "maps"
    assert main(["poses", "draw", "--poses", str(files), "--out", str(out)]) == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "dance_0000.png", "dance_0001.png", "one.png",
    ]  # fmt: skip
    np.testing.assert_array_equal(read(out / "one.png"), expected(pose(0), (128, 96)))
    np.testing.assert_array_equal(read(out / "dance_0001.png"), expected(pose(2), (64, 96)))


def test_another_size_keeps_the_shape_of_the_frame(files: Path, tmp_path: Path) -> None:
    words = ["--poses", str(files / "one.json"), "--out", str(tmp_path / "m")]
    assert main(["poses", "draw", *words, "--size", "64x200"]) == 0
    drawn = read(tmp_path / "m" / "one.png")
    assert drawn.shape == (64, 200, 3)
    columns = np.flatnonzero(drawn.any(axis=(0, 2)))
    assert columns.min() >= 76 - 2 and columns.max() < 76 + 48 + 2  # 48 wide between bars
    joints = pose(0).keypoints
    placed = (joints[:, :2] * (48, 64) + (76, 0)) / (200, 64)
    apart = np.abs(drawn.astype(int) - draw_pose_map(placed, joints[:, 2] > 0, 64, 200))
    assert apart.mean() < 0.2


def test_hands_and_face_are_drawn_when_asked_for(tmp_path: Path) -> None:
    hands, face = np.full((2, 21, 3), 0.9), np.full((68, 3), 0.1)
    write_pose_file(tmp_path / "p.json", (pose(0, hands=hands, face=face),))
    for name, more in (("plain", []), ("details", ["--details", "true"])):
        words = ["--poses", str(tmp_path / "p.json"), "--out", str(tmp_path / name)]
        assert main(["poses", "draw", *words, *more]) == 0
    plain, details = (read(tmp_path / name / "p.png") for name in ("plain", "details"))
    assert details[115, 86].tolist() == [0, 0, 255] and details[12, 9].tolist() == [255] * 3
    assert not plain[115, 86].any() and not plain[12, 9].any()


def test_bad_input_ends_in_one_line(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "unsized.json").write_text(json.dumps({"keypoints": [[0.5, 0.5]] * 18}))
    (files / "broken.json").write_text("{")
    out = tmp_path / "out"
    for source, more, message in (
        (tmp_path / "empty", [], "holds no .json file"),
        (tmp_path / "missing.json", [], "not found"),
        (tmp_path / "unsized.json", [], "give --size HEIGHTxWIDTH"),
        (files, [], "broken.json cannot be read as JSON"),
        (files / "one.json", ["--size", "big"], "expected HEIGHTxWIDTH"),
        (files / "one.json", ["--colour", "red"], "unknown key or option"),
    ):
        assert main(["poses", "draw", "--poses", str(source), "--out", str(out), *more]) == 1
        said = capsys.readouterr().err
        assert message in said and said.count("\n") == 1 and "Traceback" not in said
        assert not out.exists(), "nothing is written before all is read"
    sized = ["--poses", str(tmp_path / "unsized.json"), "--out", str(out), "--size", "32x24"]
    assert main(["poses", "draw", *sized]) == 0
    assert read(out / "unsized.png").shape == (32, 24, 3)
