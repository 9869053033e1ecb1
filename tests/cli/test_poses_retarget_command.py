"""`poses retarget`: files in, a fitted sequence, a description of the fit and a sheet out."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jcdm.cli import poses_retarget
from jcdm.cli.main import main
from jcdm.data.pose_files import StoredPose, read_pose_file, write_pose_file
from jcdm.data.synthetic import render_frame, render_view
from jcdm.data.synthetic.people import DrawnView


def stored(view: DrawnView, size: tuple[int, int]) -> StoredPose:
    return StoredPose(
        keypoints=np.column_stack([view.keypoints, view.keypoint_valid]).clip(0), size=size
    )


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn walk, and a photograph of someone else with its joints beside it."""
    folder = tmp_path_factory.mktemp("fit")
    walk = [
        render_frame(
            seed=3, identity=4, frame=i, num_frames=10, motion="walk", size=(96, 128)
        ) for i in range(10)
    ]  # fmt: skip
    poses = tuple(stored(view, (96, 128)) for view in walk)
    write_pose_file(folder / "walk.json", poses, fps=8.0, seconds=[i / 8 for i in range(10)])
    person = render_view(seed=3, identity=9, view=0, size=(160, 110))
    Image.fromarray(person.image).save(folder / "person.png")
    Image.fromarray(person.image).save(folder / "alone.png")
    write_pose_file(folder / "person.json", (stored(person, (160, 110)),))
    return folder


def fit(files: Path, reference: str, out: Path, *more: str, poses: str = "walk.json") -> int:
    words = ["--poses", str(files / poses), "--reference", str(files / reference)]
    return main(["poses", "retarget", *words, "--out", str(out), *more])


def test_a_walk_is_fitted_to_a_photograph(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, sheet = tmp_path / "new" / "fitted.json", tmp_path / "sheet.png"
    assert fit(files, "person.png", out, "--overlay", str(sheet)) == 0
    said = capsys.readouterr().out
    assert "10 poses" in said and "thigh" in said
    content = json.loads(out.read_text())
    assert content["fps"] == 8.0 and len(content["seconds"]) == 10
    assert (content["fitted_from"], content["fitted_to"]) == ("walk.json", "person.png")
    assert content["bones"]["trunk"]["ratio"] > 1 and content["standing_on"] == "feet"
    poses = read_pose_file(out)
    assert all(pose.size == (160, 110) for pose in poses)
    reference = read_pose_file(files / "person.json")[0].keypoints
    shown = reference[[10, 13]][reference[[10, 13], 2] > 0]
    feet = [pose.keypoints[[10, 13], 1].max() for pose in poses]
    assert np.median(feet) == pytest.approx(shown[:, 1].max(), abs=0.02)
    picture = np.asarray(Image.open(sheet))
    assert picture.shape[0] > 3 * 320 and picture.shape[1] > 9 * 220
    assert (picture == 0).all(axis=2).mean() > 0.3, "two rows of skeletons on black"


def test_a_json_reference_gives_the_same_without_a_photograph(files: Path, tmp_path: Path) -> None:
    assert fit(files, "person.png", tmp_path / "a.json") == 0
    assert fit(files, "person.json", tmp_path / "b.json", "--overlay", str(tmp_path / "s.png")) == 0
    first, second = (read_pose_file(tmp_path / name) for name in ("a.json", "b.json"))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.keypoints, other.keypoints)
    assert Image.open(tmp_path / "s.png").height < 3 * 320, "no photograph, no row over it"


def test_a_photograph_without_joints_is_looked_at_by_the_detector(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    joints = read_pose_file(files / "person.json")[0].keypoints
    monkeypatch.setattr(poses_retarget, "build_finder", lambda _: lambda picture, name: joints)
    assert fit(files, "alone.png", tmp_path / "a.json") == 0
    assert fit(files, "person.json", tmp_path / "b.json") == 0
    first, second = (read_pose_file(tmp_path / name) for name in ("a.json", "b.json"))
    np.testing.assert_array_equal(first[3].keypoints, second[3].keypoints)


def test_bad_input_ends_in_one_line(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (files / "unsized.json").write_text(json.dumps({"keypoints": [[0.5, 0.5]] * 18}))
    (files / "blind.json").write_text(json.dumps({"keypoints": [None] * 18, "size": [9, 9]}))
    out = tmp_path / "out.json"
    for reference, poses, more, message in (
        ("alone.png", "walk.json", [], "no joints are known for"),
        ("missing.png", "walk.json", [], "not found"),
        ("person.png", "missing.json", [], "not found"),
        ("person.png", "unsized.json", [], "the sequence: found no 'size'"),
        ("unsized.json", "walk.json", [], "the reference: found no 'size'"),
        ("blind.json", "walk.json", [], "no bone in common"),
        ("person.png", "walk.json", ["--quantile", "7"], "quantile is 7.0"),
        ("person.png", "walk.json", ["--detector", "dwpose"], "needs --yolox FILE"),
    ):
        assert fit(files, reference, out, *more, poses=poses) == 1
        said = capsys.readouterr().err
        assert message in said and said.count("\n") == 1, said
        assert not out.exists()
