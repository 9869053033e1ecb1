"""A data set of which one picture in twenty is broken: left out, counted, the same everywhere."""

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from training_world import KINDS, tiny_config

from jcdm.cli.main import main
from jcdm.config import Config
from jcdm.data.index import read_index, write_index
from jcdm.data.synthetic import write_dataset
from jcdm.errors import DataError
from jcdm.logs import read_metrics
from jcdm.plain import to_yaml
from jcdm.records import SubjectRecord
from jcdm.seeding import generator
from jcdm.training.checkpoint import list_checkpoints
from jcdm.training.run import run_training

sys.path.append(str(Path(__file__).resolve().parents[1] / "data"))

from damaged_files import DAMAGES
from launching import launch_to_the_end

INDEX = {"prior": "index.json", "denoiser": "index.json", "motion": "sequences.json"}
SHARE = 0.05


@pytest.fixture(scope="module")
def people(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn people, photographs and sequences, of whose files a twentieth is broken.

    The index `clean_` beside each lists what a run is to be left with, found without the code that
    leaves things out.
    """
    folder = tmp_path_factory.mktemp("damaged") / "people"
    write_dataset(
        folder,
        num_identities=20,
        seed=1,
        size=(32, 32),
        num_views=4,
        test_fraction=0.25,
        num_sequences=10,
        num_frames=8,
    )
    for name in sorted(set(INDEX.values())):
        bad = break_some(folder / name)
        records = read_index(folder / name)
        rest = [clean(record, bad, is_moving=name == "sequences.json") for record in records]
        write_index(folder / f"clean_{name}", [record for record in rest if record is not None])
        (folder / f"bad_{name}").write_text(json.dumps([str(path) for path in sorted(bad)]))
    return folder


def break_some(index: Path) -> set[Path]:
    """Break a twentieth of the pictures, each in another way, and two views of one person."""
    records = read_index(index)
    pictures = [view.image for record in records for view in record.views]
    order = generator(0, "damage").permutation(len(pictures))
    bad = {pictures[place] for place in order[: round(SHARE * len(pictures))]}
    if index.name == "index.json":
        bad |= {view.image for view in records[0].views[:3]}  # of four: nothing to learn from
    for number, path in enumerate(sorted(bad)):
        list(DAMAGES.values())[number % len(DAMAGES)](path)
    return bad


def clean(record: SubjectRecord, bad: set[Path], *, is_moving: bool) -> SubjectRecord | None:
    """Say what is left of a subject: for those who move four frames in a row at least."""
    rows: list[list[Any]] = [[]]
    for view in record.views:
        if view.image not in bad:
            rows[-1].append(view)
        elif is_moving:
            rows.append([])
    longest = max(rows, key=len)
    return replace(record, views=tuple(longest)) if len(longest) >= 2 + 2 * is_moving else None


def config(
    world: Path, people: Path, out: Path, kind: str, *, index: str = "", **train: Any
) -> Config:
    base = tiny_config(world, out, kind, **train)
    file = people / (index or INDEX[kind])
    return replace(base, data=replace(base.data, index=file, on_bad="skip"))


def rows(run: Path) -> list[dict[str, float]]:
    found = read_metrics(run / "metrics.jsonl")
    return [{name: v for name, v in row.items() if name != "seconds"} for row in found]


def tensors(run: Path) -> dict[str, torch.Tensor]:
    newest = list_checkpoints(run)[-1][1]
    files = sorted(newest.rglob("*.safetensors"))
    return {f"{f.name} {n}": tensor for f in files for n, tensor in load_file(f).items()}


def listed(run: Path, role: str = "training") -> dict[str, Any]:
    return json.loads((run / "skipped_pictures.json").read_text())[role]


def broken(people: Path, index: str, split: str) -> set[str]:
    """Name the broken pictures of a split by their paths from the index's folder."""
    bad = set(json.loads((people / f"bad_{index}").read_text()))
    views = [v for r in read_index(people / index, split) for v in r.views]
    return {str(v.image.relative_to(people)) for v in views if str(v.image) in bad}


@pytest.mark.parametrize(
    "kind", ["prior", pytest.param("denoiser", marks=pytest.mark.slow), "motion"]
)
def test_a_run_is_that_on_what_is_left_and_a_resume_too(
    world: Path, people: Path, tmp_path: Path, kind: str, figure: Callable[[str], None]
) -> None:
    skip = config(world, people, tmp_path / "skip", kind)
    rest = config(world, people, tmp_path / "rest", kind, index=f"clean_{INDEX[kind]}")
    for each in (skip, rest):
        run_training(kind, each)
    expected, names = tensors(rest.run.out), broken(people, INDEX[kind], "train")
    assert rows(skip.run.out) == rows(rest.run.out)
    assert all(
        torch.equal(tensor, expected[name]) for name, tensor in tensors(skip.run.out).items()
    )
    found = listed(skip.run.out)
    assert set(found["skipped"]) == names and found["num_pictures"] == len(names) > 0
    before, after = (read_index(c.data.index, "train") for c in (skip, rest))
    assert found["num_subjects"] == len(before) - len(after) >= (kind != "motion")
    assert found["num_views"] == sum(len(r.views) for r in before) - sum(
        len(r.views) for r in after
    )
    assert listed(rest.run.out)["skipped"] == {}
    manifest = json.loads((skip.run.out / "manifest.json").read_text())["data"]["skipped"]
    assert manifest["training"]["num_pictures"] == len(names)
    log = (skip.run.out / "log.txt").read_text()
    assert f"{len(names)} pictures of training cannot be read and are left out" in log

    repaired = people / sorted(names)[0]
    content = repaired.with_name("kept")
    repaired.rename(content)
    good = next(v.image for r in after for v in r.views)
    shutil.copy(good, repaired)
    try:
        shutil.rmtree(list_checkpoints(skip.run.out)[-1][1])
        run_training(kind, skip)
    finally:
        repaired.unlink()
        content.rename(repaired)
    assert rows(skip.run.out) == rows(rest.run.out)
    assert all(
        torch.equal(tensor, expected[name]) for name, tensor in tensors(skip.run.out).items()
    )
    log = (skip.run.out / "log.txt").read_text()
    assert "1 of the pictures that this run does without can be read now" in log
    assert "are not those of before the resume" not in log
    figure(
        f"{kind}: {len(names)} of {found['num_checked']} pictures broken, all and no other left "
        f"out with {found['num_views']} views; losses and weights bit-equal to those on the rest, "
        "after a resume too"
    )


@pytest.mark.parametrize(
    "kinds", [("prior",), pytest.param(KINDS, marks=pytest.mark.slow)], ids=["prior", "all"]
)
def test_two_processes_leave_the_same_out(
    world: Path,
    people: Path,
    tmp_path: Path,
    kinds: tuple[str, ...],
    figure: Callable[[str], None],
) -> None:
    words = []
    for kind in kinds:
        run_training(kind, config(world, people, tmp_path / "one" / kind, kind))
        two = config(world, people, tmp_path / "two" / kind, kind, batch_size=2)
        file = tmp_path / f"{kind}.yaml"
        file.write_text(to_yaml(two, tmp_path), encoding="utf-8")
        words.append(f"{kind}={file}")
    launch_to_the_end(2, "launched.py", words)
    largest = 0.0
    for kind in kinds:
        one, two_ = tmp_path / "one" / kind, tmp_path / "two" / kind
        assert (two_ / "world_of_rank_1.txt").read_text() == "2"
        first, second = (run / "skipped_pictures.json" for run in (one, two_))
        assert first.read_text() == second.read_text()
        states = [list_checkpoints(run)[-1][1] / "state.json" for run in (one, two_)]
        people_of = [json.loads(state.read_text())["people"] for state in states]
        assert people_of[0] == people_of[1]
        for a, b in zip(rows(one), rows(two_), strict=True):
            for name in {"loss", "validation_loss"} & a.keys():
                assert b[name] == pytest.approx(a[name], rel=1e-5), name
                largest = max(largest, abs(b[name] / a[name] - 1))
    figure(f"{len(kinds)} stages on 2 processes: the same list and people, losses to {largest:.1e}")


@pytest.mark.parametrize("num_people", [12, pytest.param(500, marks=pytest.mark.slow)])
def test_counts_are_right_for_many_pictures(
    world: Path, tmp_path: Path, num_people: int, figure: Callable[[str], None]
) -> None:
    """The larger set is checked by several processes."""
    index = copy_people(world / "people" / "index.json", tmp_path / "people", num_people)
    bad = break_some(index)
    train = read_index(index, "train")
    run = config(world, tmp_path / "people", tmp_path / "run", "prior")
    run_training("prior", run)
    expected = [[view.image in bad for view in record.views] for record in train]
    found = listed(run.run.out)
    assert (found["num_checked"], found["num_pictures"]) == (
        sum(map(len, expected)),
        sum(map(sum, expected)),
    )
    gone = [person for person in expected if sum(person) > len(person) - 2]
    assert found["num_subjects"] == len(gone) >= 1
    kept_alive = [sum(person) for person in expected if person not in gone]
    assert found["num_views"] == sum(map(len, gone)) + sum(kept_alive)
    assert len(read_metrics(run.run.out / "metrics.jsonl")) == 5, "the run completes"
    figure(
        f"{found['num_pictures']} of {found['num_checked']} pictures broken: {found['num_views']} "
        f"views and {found['num_subjects']} people left out, as counted by hand"
    )


def copy_people(index: Path, folder: Path, num_people: int) -> Path:
    """Copy the people again and again under new names; returns the index of the copies."""
    people, copies = read_index(index), list[SubjectRecord]()
    folder.mkdir()
    for number in range(num_people):
        record, views = people[number % len(people)], []
        for place, view in enumerate(record.views):
            image = folder / f"{number}_{place}.png"
            shutil.copy(view.image, image)
            views.append(replace(view, image=image))
        name = f"{record.subject}_{number}"
        copies.append(replace(record, subject=name, views=tuple(views)))
    write_index(folder / "index.json", copies)
    return folder / "index.json"


def test_a_list_that_was_lost_is_made_anew_and_what_changed_is_said(
    world: Path, people: Path, tmp_path: Path
) -> None:
    data = tmp_path / "people"
    shutil.copytree(people, data, symlinks=True, ignore=only_files)
    start = config(world, data, tmp_path / "run", "prior", num_steps=2)
    run_training("prior", start)
    names = sorted(listed(start.run.out)["skipped"])
    good = next(v.image for r in read_index(data / "clean_index.json", "train") for v in r.views)
    again = data / names[-1]
    shutil.rmtree(again) if again.is_dir() else again.unlink(missing_ok=True)
    shutil.copy(good, again)
    (start.run.out / "skipped_pictures.json").write_text('{"format": 1')
    run_training("prior", replace(start, train=replace(start.train, num_steps=3)))
    log = (start.run.out / "log.txt").read_text()
    assert "skipped_pictures.json cannot be read" in log
    assert "the people or pictures to learn from are not those of before the resume" in log
    assert sorted(listed(start.run.out)["skipped"]) == names[:-1]


def only_files(folder: str, names: list[str]) -> list[str]:
    """Name what copytree would wait for or stumble on: pipes."""
    return [name for name in names if (Path(folder) / name).is_fifo()]


@pytest.mark.parametrize(
    ("on_bad", "num_workers"),
    [
        ("error", 1),
        ("skip", 0),
        pytest.param("error", 0, marks=pytest.mark.slow),
        pytest.param("skip", 1, marks=pytest.mark.slow),
    ],
)
def test_what_breaks_during_a_run_ends_it_in_one_line(
    world: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    on_bad: str,
    num_workers: int,
) -> None:
    """With `skip` only what broke after the start does; the run goes on when that is back."""
    data = tmp_path / "people"
    shutil.copytree(world / "people", data)
    base = tiny_config(world, tmp_path / "run", num_steps=2)
    setup = replace(base.data, index=data / "index.json", on_bad=on_bad, num_workers=num_workers)
    file = tmp_path / "run.yaml"
    file.write_text(to_yaml(replace(base, data=setup), tmp_path), encoding="utf-8")
    words = ["train", "prior", "--config", str(file)]
    if on_bad == "skip":
        assert main(words) == 0
    pictures = [v.image for r in read_index(data / "index.json", "train") for v in r.views]
    kept = {path: path.read_bytes() for path in pictures}
    for path in pictures:
        path.write_bytes(kept[path][:-200])
    capfd.readouterr()
    assert main([*words, "--train.num_steps=4"]) == 1
    told = capfd.readouterr().err
    assert "Traceback" not in told
    lines = [line for line in told.splitlines() if line.startswith("jcdm: ")]
    assert len(lines) == 1 and any(str(path) in lines[0] for path in pictures)
    assert "cannot be read" in lines[0]
    for path, content in kept.items():
        path.write_bytes(content)
    assert main([*words, "--train.num_steps=4"]) == 0


def test_when_nothing_is_left_it_is_one_line(world: Path, tmp_path: Path) -> None:
    """As where a disk is not mounted."""
    data = tmp_path / "people"
    data.mkdir()
    shutil.copy(world / "people" / "index.json", data)
    base = tiny_config(world, tmp_path / "run", num_steps=2)
    gone = replace(base, data=replace(base.data, index=data / "index.json", on_bad="skip"))
    with pytest.raises(DataError, match=r"nobody of the 4 people of train is left: 16 pictures"):
        run_training("prior", gone)
