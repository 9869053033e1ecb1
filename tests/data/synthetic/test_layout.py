"""The written folder follows the published layout and does not depend on the number of workers."""

import csv
import json
import os
import re
import subprocess
import sys
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jcdm.data.synthetic import GENERATOR_VERSION, render_view, write_dataset
from jcdm.errors import ConfigError, DataError

SIZE = (48, 36)
NAME = re.compile(
    r"fashion(WOMEN|MEN)[A-Z][A-Za-z_]+id\d{10}_\d+(front|side|back|full|additional)\.jpg"
)
OPTIONS = {"num_identities": 5, "seed": 3, "size": SIZE, "num_views": 4, "test_fraction": 0.3}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("synth") / "people"
    index = write_dataset(out, num_sequences=4, num_frames=3, **OPTIONS)
    assert index == out / "index.json"
    return out


def _index(root: Path, name: str = "index.json") -> dict:
    return json.loads((root / name).read_text())


def _names(root: Path, split: str) -> list[str]:
    return (root / f"{split}.lst").read_text().split()


def test_index_describes_every_image(drawn: Path) -> None:
    index = _index(drawn)
    assert index["format"] == "jcdm-index" and index["version"] == 1
    generator = {"name": "jcdm.data.synthetic", "version": GENERATOR_VERSION, "seed": 3}
    assert index["generator"] == generator
    assert len(index["subjects"]) == 5
    for subject in index["subjects"]:
        assert len(subject["views"]) == 4
        for view in subject["views"]:
            assert view["image"].startswith(f"{subject['split']}_highres/{subject['subject']}_")
            with Image.open(drawn / view["image"]) as image:
                assert image.size == SIZE[::-1]
            assert np.shape(view["keypoints"]) == (18, 2)
            assert len(view["keypoint_valid"]) == 18
            assert set(view["tags"]) == {"yaw", "side", "framing"}


def test_index_holds_the_rendered_joints(drawn: Path) -> None:
    view = render_view(seed=3, identity=0, view=2, size=SIZE)
    entry = _index(drawn)["subjects"][0]["views"][2]
    np.testing.assert_allclose(entry["keypoints"], view.keypoints, atol=1e-5)
    assert entry["keypoint_valid"] == view.keypoint_valid.tolist()
    with Image.open(drawn / entry["image"]) as image:
        assert np.abs(np.asarray(image).astype(int) - view.image).mean() < 6.0


def test_splits_are_disjoint_and_names_unique_and_as_published(drawn: Path) -> None:
    train, test = _names(drawn, "train"), _names(drawn, "test")
    assert len(train) == 12 and len(test) == 8
    for names, split in ((train, "train"), (test, "test")):
        assert all(NAME.fullmatch(name) for name in names)
        assert {p.name for p in (drawn / f"{split}_highres").iterdir()} == set(names)
    people = [{re.search(r"id(\d{8})", n).group(1) for n in names} for names in (train, test)]
    assert not people[0] & people[1]


@pytest.mark.parametrize("split", ["train", "test"])
def test_pairs_are_all_ordered_pairs_of_a_person(drawn: Path, split: str) -> None:
    with (drawn / f"fasion-resize-pairs-{split}.csv").open() as file:
        rows = list(csv.DictReader(file))
    expected = set()
    for subject in _index(drawn)["subjects"]:
        if subject["split"] == split:
            own = [Path(view["image"]).name for view in subject["views"]]
            expected |= set(permutations(own, 2))
    assert len(rows) == len(expected)
    assert {(row["from"], row["to"]) for row in rows} == expected


@pytest.mark.parametrize("split", ["train", "test"])
def test_annotations_are_integers_in_the_published_frame(drawn: Path, split: str) -> None:
    with (drawn / f"fasion-resize-annotation-{split}.csv").open() as file:
        rows = list(csv.DictReader(file, delimiter=":"))
    assert [row["name"] for row in rows] == _names(drawn, split)
    views = [
        view
        for subject in _index(drawn)["subjects"]
        if subject["split"] == split
        for view in subject["views"]
    ]
    for row, view in zip(rows, views, strict=True):
        y, x = json.loads(row["keypoints_y"]), json.loads(row["keypoints_x"])
        assert len(x) == len(y) == 18
        for k in range(18):
            if view["keypoint_valid"][k]:
                assert abs(x[k] - view["keypoints"][k][0] * 176) <= 1
                assert abs(y[k] - view["keypoints"][k][1] * 256) <= 1
            else:
                assert x[k] == y[k] == -1


def test_sequences_keep_to_the_split_of_their_person(drawn: Path) -> None:
    sequences = _index(drawn, "sequences.json")["subjects"]
    assert len(sequences) == 4
    split_of = {s["subject"]: s["split"] for s in _index(drawn)["subjects"]}
    assert {s["split"] for s in sequences} == {"train", "test"}
    for sequence in sequences:
        person, motion = sequence["subject"].rsplit("_", 1)
        assert motion in ("walk", "turn")
        assert split_of[person] == sequence["split"]
        images = [view["image"] for view in sequence["views"]]
        folder = f"sequences/{sequence['subject']}"
        assert images == [f"{folder}/frame_{k:04d}.jpg" for k in range(3)]
        assert all((drawn / image).is_file() for image in images)


def test_two_workers_write_the_same_bytes(drawn: Path, tmp_path: Path) -> None:
    out = tmp_path / "twice"
    write_dataset(out, num_sequences=4, num_frames=3, num_workers=2, **OPTIONS)
    ours = sorted(p.relative_to(drawn) for p in drawn.rglob("*") if p.is_file())
    assert ours == sorted(p.relative_to(out) for p in out.rglob("*") if p.is_file())
    assert all((drawn / p).read_bytes() == (out / p).read_bytes() for p in ours)


def test_an_empty_folder_is_used_and_nothing_else_is_left(tmp_path: Path) -> None:
    out = tmp_path / "empty"
    out.mkdir()
    write_dataset(out, num_identities=1, seed=0, size=SIZE, num_views=1)
    assert [p.name for p in tmp_path.iterdir()] == ["empty"]
    assert (out / "index.json").is_file() and not (out / "sequences.json").exists()


def test_leftovers_of_a_killed_process_of_the_same_number_are_no_hindrance(tmp_path: Path) -> None:
    left = tmp_path / f".people.partial-{os.getpid()}" / "train_highres"
    left.mkdir(parents=True)
    write_dataset(tmp_path / "people", num_identities=1, seed=0, size=SIZE, num_views=1)
    assert [path.name for path in tmp_path.iterdir()] == ["people"]


def test_a_full_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("keep")
    with pytest.raises(DataError, match=r"not empty.*--out"):
        write_dataset(tmp_path, num_identities=1, seed=0, size=SIZE)
    assert (tmp_path / "precious.txt").read_text() == "keep"


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    for out in (file, file / "inside"):
        with pytest.raises(DataError, match="--out"):
            write_dataset(out, num_identities=1, seed=0, size=SIZE)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"num_identities": 0}, "num_identities is 0"),
        ({"num_views": 0}, "num_views"),
        ({"num_workers": 0}, "num_workers"),
        ({"num_frames": 0}, "num_frames"),
        ({"num_sequences": -1}, "num_sequences"),
        ({"num_sequences": 50}, "Draw more identities"),
        ({"test_fraction": 1.5}, "test_fraction"),
        ({"size": (8, 8)}, "too small"),
    ],
)
def test_wrong_numbers_are_named(tmp_path: Path, wrong: dict, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        write_dataset(tmp_path / "out", **(OPTIONS | wrong))
    assert not list(tmp_path.iterdir())


def test_processes_that_cannot_start_end_the_drawing(tmp_path: Path) -> None:
    """A program read from standard input cannot be imported by the processes that it starts."""
    program = (
        "from jcdm.data.synthetic import write_dataset\nfrom pathlib import Path\n"
        f"write_dataset(Path({str(tmp_path / 'people')!r}), num_identities=2, seed=0,"
        " size=(64, 48), num_views=2, num_workers=2)\n"
    )
    done = subprocess.run(
        [sys.executable, "-"], input=program, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert "DataError: a process that draws ended early" in done.stderr
    assert list(tmp_path.iterdir()) == []
