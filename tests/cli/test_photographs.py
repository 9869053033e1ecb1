"""`sample images --references ... --poses ... --out DIR` on files of every kind."""

import json
from pathlib import Path

import numpy as np
import pytest
from onnx_twins import KNOWN, SCENE, draw_person, write_joints_twin, write_people_twin
from PIL import Image

from jcdm.cli.main import main
from jcdm.data.pose_maps import draw_pose_map
from jcdm.data.synthetic import write_dataset
from jcdm.manifest import FIELDS


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs of a drawn person with their joints, a pose map, a sequence, someone else."""
    folder = tmp_path_factory.mktemp("own")
    index = write_dataset(
        folder / "people", num_identities=1, seed=3, size=(128, 96), num_views=6, test_fraction=1.0
    )
    views = json.loads(index.read_text())["subjects"][0]["views"]
    joints = [
        [
            [*point, int(seen)]
            for point, seen in zip(v["keypoints"], v["keypoint_valid"], strict=True)
        ]
        for v in views
    ]
    for number, name in enumerate(("a", "b", "c", "person")):
        photo = Image.open(index.parent / views[number]["image"])
        photo.save(folder / f"{name}.png")
        (folder / f"{name}.json").write_text(json.dumps({"keypoints": joints[number]}))
    exif = Image.Exif()
    exif[274] = 6  # stored lying on its side
    lying = Image.open(folder / "a.png").transpose(Image.Transpose.ROTATE_90)
    lying.convert("L").save(folder / "lying.jpg", exif=exif)
    (folder / "lying.json").write_text(json.dumps({"keypoints": joints[0]}))
    points = np.array(joints[4], np.float32)
    drawn = draw_pose_map(points[:, :2], np.ones(18, bool), 300, 200)
    Image.fromarray(drawn).save(folder / "p1.png")
    (folder / "dance.json").write_text(
        json.dumps({"frames": [{"keypoints": j} for j in joints[3:]]})
    )
    return folder


def paint(files: Path, out: Path, references: list[str], poses: list[str], *more: str) -> int:
    given = [str(files / name) for name in references]
    wanted = [str(files / name) for name in poses]
    words = ["sample", "images", "--references", *given, "--poses", *wanted, "--out", str(out)]
    return main([*words, *more])


def test_every_kind_of_pose_is_painted(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert paint(files, out, ["a.png", "b.png"], ["p1.png", "dance.json", "person.png"]) == 0
    sizes = {path.name: Image.open(path).size for path in out.glob("*.png")}
    assert sizes.pop("sheet.png")[0] > 300
    assert sizes == {
        "p1.png": (200, 300),
        "dance_0000.png": (48, 64),
        "dance_0001.png": (48, 64),
        "dance_0002.png": (48, 64),
        "person.png": (96, 128),
    }
    manifest = json.loads((out / "sampling_manifest.json").read_text())
    assert manifest["config"]["num_steps"] == 2, "the settings that suit the shipped weights"
    assert set(FIELDS) < set(manifest) and len(manifest["weights"]["pipeline"]["sha256"]) == 64
    assert set(manifest["data"]) == {"a.png", "b.png", "p1.png", "dance.json", "person.png"}
    assert f"to look at: {out / 'sheet.png'}" in capsys.readouterr().out


def test_a_photograph_lying_on_its_side_is_turned(files: Path, tmp_path: Path) -> None:
    assert paint(files, tmp_path / "out", ["lying.jpg"], ["p1.png"], "--num_steps", "1") == 0


def test_seeds_and_settings_change_the_picture(files: Path, tmp_path: Path) -> None:
    found = []
    for number, more in enumerate([[], [], ["--seed", "1"], ["--num_steps", "3"]]):
        out = tmp_path / str(number)
        assert paint(files, out, ["a.png"], ["person.png"], *more) == 0
        found.append((out / "person.png").read_bytes())
    assert found[0] == found[1] and len(set(found)) == 3


@pytest.mark.parametrize(
    ("references", "poses", "more", "expected"),
    [
        (["p1.png"], ["p1.png"], [], "no joints are known for"),
        (["p1.png"], ["p1.png"], [], "or a detector: --detector dwpose --yolox FILE --dwpose FILE"),
        (["p1.png"], ["p1.png"], ["--detector", "dwpose"], "needs --yolox FILE"),
        (["a.png", "b.png", "c.png", "person.png"], ["p1.png"], [], "has room for at most 3"),
        (["a.png"], ["p1.png", "p1.png"], [], "two poses called 'p1'"),
        (["a.png"], ["nothing.json"], [], "nothing.json not found"),
        (["nothing.png"], ["p1.png"], [], "nothing.png not found"),
        (["a.png"], ["a.json", "b.json"], ["--reference_keypoints", "x", "y"], "2 keypoint files"),
        (["a.png"], ["p1.png"], ["--reference_keypoints", "dance.json"], "holds 3 poses"),
        (["a.png"], ["p1.png"], ["--pipeline", "nowhere"], "not a pipeline folder"),
        (["a.png"], ["p1.png"], ["--num_steps", "0"], "num_steps is 0"),
        (["a.png"], ["p1.png"], ["--num_wings", "2"], "num_wings"),
    ],
)
def test_a_wrong_wish_is_one_line_and_leaves_nothing(
    files: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    references: list[str],
    poses: list[str],
    more: list[str],
    expected: str,
) -> None:
    monkeypatch.chdir(files)
    assert paint(files, tmp_path / "out", references, poses, *more) == 1
    error = capsys.readouterr().err
    assert expected in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_folder_that_exists_is_not_touched(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert paint(files, tmp_path, ["a.png"], ["p1.png"]) == 1
    assert "exists; choose a new folder" in capsys.readouterr().err


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Options that name small networks."""
    folder = tmp_path_factory.mktemp("networks")
    people, joints = write_people_twin(folder / "p.onnx"), write_joints_twin(folder / "j.onnx")
    return ["--detector", "dwpose", "--yolox", str(people), "--dwpose", str(joints)]


def draw_photograph(path: Path, *lefts: int) -> None:
    """Save a photograph of people without a file of joints beside it."""
    picture = Image.new("RGB", (240, 200), SCENE)
    x, y = np.meshgrid(np.linspace(10, 70, 4), np.linspace(30, 170, 6))
    joints = np.stack([x.ravel(), y.ravel()], axis=1)[: len(KNOWN)].round()
    for number, left in enumerate(lefts):
        draw_person(picture, (left, 20, left + 80, 180), joints + np.array([left, 0]), number)
    picture.save(path)


def test_photographs_without_joints_are_looked_at(
    tmp_path: Path, detector: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    draw_photograph(tmp_path / "a.png", 60)
    draw_photograph(tmp_path / "person.png", 140)
    draw_photograph(tmp_path / "pair.png", 20, 140)
    draw_photograph(tmp_path / "empty.png")
    steps = ["--num_steps", "1"]
    assert paint(tmp_path, tmp_path / "1", ["a.png"], ["person.png"], *detector, *steps) == 0
    assert Image.open(tmp_path / "1" / "person.png").size == (240, 200)
    assert paint(tmp_path, tmp_path / "2", ["a.png"], ["pair.png"], *detector, *steps) == 1
    assert "pair.png: 2 people found" in capsys.readouterr().err
    surest = [*detector, *steps, "--people", "surest"]
    assert paint(tmp_path, tmp_path / "2", ["a.png"], ["pair.png"], *surest) == 0
    assert paint(tmp_path, tmp_path / "3", ["empty.png"], ["person.png"], *surest) == 1
    assert "empty.png: no person found" in capsys.readouterr().err


def test_joints_that_are_found_are_the_ones_that_are_painted(
    tmp_path: Path, detector: list[str]
) -> None:
    """The same picture with its joints in a file, rounded, gives as good as the same painting."""
    (tmp_path / "photos").mkdir()
    draw_photograph(tmp_path / "photos" / "a.png", 60)
    draw_photograph(tmp_path / "photos" / "person.png", 140)
    photos = tmp_path / "photos"
    steps = ["--num_steps", "1"]
    assert paint(photos, tmp_path / "1", ["a.png"], ["person.png"], *detector, *steps) == 0
    words = ["poses", "extract", "--root", str(photos), "--out", str(photos), *detector]
    assert main(words) == 0
    assert paint(photos, tmp_path / "2", ["a.png"], ["person.png"], *steps) == 0
    file = json.loads((photos / "person.json").read_text())
    file["keypoints"][4] = [0.1, 0.1, 1.0]
    (photos / "person.json").write_text(json.dumps(file))
    assert paint(photos, tmp_path / "3", ["a.png"], ["person.png"], *steps) == 0
    found, read, moved = (
        np.asarray(Image.open(tmp_path / folder / "person.png"), float) for folder in "123"
    )
    assert np.abs(found - read).mean() < 0.1 * np.abs(found - moved).mean()
