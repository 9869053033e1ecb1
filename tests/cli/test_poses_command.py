"""`poses extract` and its options, as typed."""

import json
from pathlib import Path

import numpy as np
import pytest
from onnx_twins import KNOWN, SCENE, draw_person, write_joints_twin, write_people_twin
from PIL import Image

from jcdm.cli.main import main
from jcdm.data.pose_files import read_pose_file
from jcdm.records import NUM_KEYPOINTS

BOX = (60, 20, 140, 180)


def draw(path: Path, *boxes: tuple[int, int, int, int]) -> None:
    picture = Image.new("RGB", (200, 200), SCENE)
    x, y = np.meshgrid(np.linspace(0.15, 0.85, 4), np.linspace(0.08, 0.92, 6))
    shares = np.stack([x.ravel(), y.ravel()], axis=1)[: len(KNOWN)]
    for number, (left, top, right, bottom) in enumerate(boxes):
        joints = np.rint(shares * (right - left, bottom - top) + (left, top))
        draw_person(picture, (left, top, right, bottom), joints, number, radius=4)
    picture.save(path)


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Networks, and a folder of pictures: one person, two, nobody."""
    folder = tmp_path_factory.mktemp("given")
    write_people_twin(folder / "people.onnx")
    write_joints_twin(folder / "joints.onnx")
    (folder / "photos").mkdir()
    draw(folder / "photos" / "one.png", BOX)
    draw(folder / "photos" / "two.png", (10, 20, 80, 180), (110, 60, 180, 190))
    draw(folder / "photos" / "zero.png")
    return folder


def extract(given: Path, out: Path, *more: str) -> int:
    words = ["poses", "extract", "--root", str(given / "photos"), "--out", str(out)]
    return main([*words, *detector(given), *more])


def detector(given: Path) -> list[str]:
    networks = ["--yolox", str(given / "people.onnx"), "--dwpose", str(given / "joints.onnx")]
    return ["--detector", "dwpose", *networks]


def test_a_folder_becomes_pose_files(
    given: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, overlays = tmp_path / "out", str(tmp_path / "overlays")
    assert extract(given, out, "--on_bad", "skip", "--overlays", overlays) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("skipped two.png: ") and "2 people found" in said[0]
    assert said[1].startswith("skipped zero.png: ") and "no person found" in said[1]
    assert said[2].startswith("1 poses in ") and "2 pictures skipped" in said[2]
    (pose,) = read_pose_file(out / "one.json")
    assert pose.keypoints[0, :2] == pytest.approx([0.3625, 0.1665], abs=0.006)
    assert pose.keypoints[7, 2] == 0 and (np.delete(pose.keypoints[:, 2], 7) > 0.6).all()
    assert (tmp_path / "overlays" / "one.png").is_file()
    assert extract(given, out, "--on_bad", "skip") == 0
    assert "1 of them from before" in capsys.readouterr().out
    assert extract(given, out, "--on_bad", "skip", "--people", "largest") == 0
    assert (out / "two.json").is_file()
    assert extract(given, out, "--people", "surest", "--min_confidence", "0.1") == 1
    assert "zero.png: no person found" in capsys.readouterr().err
    assert read_pose_file(out / "one.json")[0].keypoints[7, 2] == pytest.approx(0.2)


def test_an_imported_folder_gets_its_joints(given: Path, tmp_path: Path) -> None:
    """The line that a user with own photographs types: import, extract, check."""
    index, filled = tmp_path / "index.json", tmp_path / "filled.json"
    imported = ["data", "import", "--format", "folder", "--root", str(given / "photos")]
    assert main([*imported, "--out", str(index)]) == 0
    words = ["poses", "extract", "--index", str(index), "--out_index", str(filled)]
    words += ["--out", str(tmp_path / "poses"), *detector(given)]
    assert main([*words, "--on_bad", "skip", "--people", "largest"]) == 0
    views = json.loads(filled.read_text())["subjects"][0]["views"]
    assert [Path(view["image"]).name for view in views] == ["one.png", "two.png"]
    assert sum(views[0]["keypoint_valid"]) == NUM_KEYPOINTS - 1
    assert main(["data", "check", "--index", str(filled)]) == 0


ROOT = ["--root", "photos", "--out", "o"]
EXCHANGED = ["--detector", "dwpose", "--yolox", "joints.onnx", "--dwpose", "people.onnx"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--out", "o"], "expected --root DIR or --index FILE, found neither"),
        (ROOT, "no detector is named; add --detector"),
        ([*ROOT, "--yolox", "x"], "--yolox is given, but no --detector"),
        ([*ROOT, "--detector", "dwpose"], "needs --yolox FILE"),
        ([*ROOT, "--detector", "openpose"], "needs --openpose FILE"),
        ([*ROOT, "--detector", "magic"], "magic"),
        ([*ROOT, "--min_confidence", "2"], "from 0 to 1"),
        ([*ROOT, "--people", "all"], "people"),
        (["--root", "photos"], "out"),
        ([*ROOT, "--detector", "openpose", "--openpose", "none.pth"], "none.pth not found"),
        ([*ROOT, *EXCHANGED], "joints.onnx gives outputs of shape"),
    ],
)
def test_a_wrong_wish_is_one_line(
    given: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    expected: str,
) -> None:
    monkeypatch.chdir(given)
    assert main(["poses", "extract", *words]) == 1
    error = capsys.readouterr().err
    assert expected in error and error.count("\n") == 1
    assert not (given / "o").exists()


def test_the_words_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["poses", "fly"]) == 1
    assert "expected one of extract, draw, video, retarget" in capsys.readouterr().err
    assert main(["--help"]) == 0
    assert "\n  poses " in capsys.readouterr().out


def test_extracted_poses_and_the_detector_give_pose_accuracy(given: Path, tmp_path: Path) -> None:
    """The truth against itself stands as it should; the person moved aside does not."""
    for kind, boxes in (("truth", (BOX, BOX)), ("generated", (BOX, (10, 20, 90, 180)))):
        (tmp_path / kind).mkdir()
        for name, box in zip("ab", boxes, strict=True):
            draw(tmp_path / kind / f"{name}.png", box)
    poses, out = tmp_path / "poses", tmp_path / "out"
    reading = ["poses", "extract", "--root", str(tmp_path / "truth"), "--out", str(poses)]
    assert main([*reading, *detector(given)]) == 0
    words = ["evaluate", "images", "--generated", str(tmp_path / "generated")]
    words += ["--truth", str(tmp_path / "truth"), "--poses", str(poses), "--out", str(out)]
    words += ["--protocol", "strict", "--size", "200x200", "--scores", "ssim", "pckh", "oks"]
    assert main([*words, "--cache", str(tmp_path / "cache"), *detector(given)]) == 0
    content = json.loads((out / "scores.json").read_text())
    assert content["rows"]["ground truth"]["pckh"] == 1
    assert content["rows"]["ground truth"]["oks"] > 0.95
    assert content["scores"]["pckh"] < 0.8 and content["counts"]["pckh"] == 2
    assert "DWPose: people.onnx" in content["weights"]["detector"]
