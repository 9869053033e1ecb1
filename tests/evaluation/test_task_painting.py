"""A test task painted whole, in parts, by several processes: the same pictures each time."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jcdm.cli.main import main
from jcdm.data.index import read_index
from jcdm.data.synthetic import write_dataset
from jcdm.errors import DataError
from jcdm.evaluation.task_painting import paint_task, read_task
from jcdm.pipelines import JCDMPipeline
from jcdm.pipelines.sampling import SamplingOptions

TINY = Path(__file__).resolve().parents[2] / "assets" / "tiny"
OPTIONS = SamplingOptions(num_steps=1, prior_steps=1, guidance_scale=1.0)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two drawn people of four views, and a task of three items."""
    folder = tmp_path_factory.mktemp("task")
    index = write_dataset(
        folder, num_identities=2, seed=5, size=(128, 96), num_views=4, test_fraction=1.0
    )
    names = [[view.image.name for view in record.views] for record in read_index(index)]
    items = [
        {"subject": "a", "references": names[0][:1], "targets": names[0][1:2]},
        {"subject": "a", "references": names[0][:2], "targets": names[0][2:]},
        {"subject": "b", "references": names[1][3:], "targets": names[1][:1]},
    ]
    task = {"format": "jcdm-task", "version": 1, "split": "test", "items": items}
    (folder / "task.json").write_text(json.dumps(task))
    return folder


@pytest.fixture(scope="module")
def pipeline() -> JCDMPipeline:
    loaded = JCDMPipeline.from_pretrained(TINY)
    loaded.set_progress_bar_config(disable=True)
    return loaded


def items(world: Path) -> list:
    return read_task(world / "task.json", world / "index.json")


def pictures(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "generated").iterdir())}


@pytest.fixture(scope="module")
def whole(
    world: Path, pipeline: JCDMPipeline, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("whole")
    paint_task(pipeline, items(world), out, OPTIONS)
    return pictures(out)


def test_every_target_is_painted_under_its_name(world: Path, whole: dict[str, bytes]) -> None:
    expected = {
        f"{'+'.join(view.image.stem for view in item.references)}_to_{target.image.stem}.png"
        for item in items(world)
        for target in item.targets
    }
    assert set(whole) == expected and len(expected) == 4


def test_processes_and_batches_paint_the_same(
    world: Path, pipeline: JCDMPipeline, whole: dict[str, bytes], tmp_path: Path
) -> None:
    for rank in (1, 0):
        paint_task(pipeline, items(world), tmp_path, OPTIONS, batch_size=1, rank=rank, world_size=2)
    for name, content in pictures(tmp_path).items():
        with Image.open(tmp_path / "generated" / name) as picture:
            found = np.asarray(picture).astype(int)
        (tmp_path / "one.png").write_bytes(whole[name])
        expected = np.asarray(Image.open(tmp_path / "one.png")).astype(int)
        assert np.abs(found - expected).max() <= 1, "batches round differently, and no more"
        assert content
    assert pictures(tmp_path).keys() == whole.keys()


def test_a_cut_run_paints_what_is_missing_and_nothing_else(
    world: Path, pipeline: JCDMPipeline, whole: dict[str, bytes], tmp_path: Path
) -> None:
    paint_task(pipeline, items(world), tmp_path, OPTIONS)
    files = sorted((tmp_path / "generated").iterdir(), key=lambda f: "+" in f.name)
    files[0].unlink()
    times = {file: file.stat().st_mtime_ns for file in files[1:]}
    done: list[tuple[int, int]] = []
    paint_task(pipeline, items(world), tmp_path, OPTIONS, report=lambda *n: done.append(n))
    assert done == [(2, 3), (3, 3)]
    assert {file: file.stat().st_mtime_ns for file in times} == times
    assert set(pictures(tmp_path)) == set(whole)


def test_truths_are_the_photographs_in_their_frame(
    world: Path, pipeline: JCDMPipeline, tmp_path: Path
) -> None:
    item = replace(items(world)[0])
    fit = pipeline.config["fit"]
    pipeline.register_to_config(fit="112x80")
    try:
        paint_task(pipeline, [item], tmp_path, OPTIONS)
    finally:
        pipeline.register_to_config(fit=fit)
    (target,) = item.targets
    truth = Image.open(tmp_path / "truth" / f"{target.image.stem}.png")
    photo = Image.open(target.image).convert("RGB")
    expected = photo.resize((80, 112), Image.Resampling.BICUBIC)
    assert np.array_equal(np.asarray(truth), np.asarray(expected))
    (painted,) = (tmp_path / "generated").iterdir()
    assert Image.open(painted).size == (80, 112)


def test_the_command_paints_scores_and_goes_on(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", "pipeline", "--pipeline", str(TINY), "--task", str(world / "task.json")]
    words += ["--index", str(world / "index.json"), "--out", str(tmp_path / "out")]
    words += ["--size", "128x96", "--num_steps", "1"]
    assert main(words) == 0
    assert main([*words, "--protocol", "strict"]) == 0
    assert "4 pairs by protocol strict" in capsys.readouterr().out
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["num_items"] == 3 and manifest["config"]["num_steps"] == 1
    shutil.rmtree(tmp_path / "out" / "scores_strict")
    assert main([*words, "--protocol", "strict", "--batch_size", "0"]) == 1
    assert "--batch_size is 0" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda task: task.pop("items"), "holds no task"),
        (lambda task: task.update(version=2), "version 1; write it again"),
        (lambda task: task["items"][1].update(targets=["x.jpg"]), "item 1: 'x.jpg' is no view"),
        (lambda task: task["items"][1].update(targets=[]), "item 1: expected references and"),
        (lambda task: task["items"].insert(0, 3), "item 0"),
    ],
)
def test_a_wrong_task_is_one_line(world: Path, tmp_path: Path, change, expected: str) -> None:
    task = json.loads((world / "task.json").read_text())
    change(task)
    (tmp_path / "task.json").write_text(json.dumps(task))
    with pytest.raises(DataError) as caught:
        read_task(tmp_path / "task.json", world / "index.json")
    assert expected in str(caught.value) and "\n" not in str(caught.value)
