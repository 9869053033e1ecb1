"""A test task painted whole, in parts, by several processes: the same pictures each time."""

import io
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jcdm.cli.main import main
from jcdm.data.index import read_index
from jcdm.data.synthetic import write_dataset
from jcdm.data.tasks import LOOK_ALIKE
from jcdm.errors import DataError
from jcdm.evaluation.task_frames import joints_in_frame, place_view, take_frame
from jcdm.evaluation.task_items import TaskFolders, read_task
from jcdm.evaluation.task_painting import paint_task
from jcdm.evaluation.task_truths import nearest, write_truths
from jcdm.evaluation.truth_poses import pose_reader
from jcdm.manifest import FIELDS
from jcdm.pipelines import JCDMPipeline
from jcdm.pipelines.inputs import ViewFormat
from jcdm.pipelines.sampling import SamplingOptions

TINY = Path(__file__).resolve().parents[2] / "assets" / "tiny"
OPTIONS = SamplingOptions(num_steps=1, prior_steps=1, guidance_scale=1.0)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two drawn people of four views, and a task of three items."""
    folder = tmp_path_factory.mktemp("task")
    index = write_dataset(
        folder, num_identities=2, seed=5, size=(64, 48), num_views=4, test_fraction=1.0
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
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


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
        found = np.asarray(Image.open(io.BytesIO(content))).astype(int)
        expected = np.asarray(Image.open(io.BytesIO(whole[name]))).astype(int)
        assert np.abs(found - expected).max() <= 1, "batches round differently, and no more"
    assert pictures(tmp_path).keys() == whole.keys()


def test_a_cut_run_paints_what_is_missing_and_nothing_else(
    world: Path, pipeline: JCDMPipeline, whole: dict[str, bytes], tmp_path: Path
) -> None:
    paint_task(pipeline, items(world), tmp_path, OPTIONS)
    files = sorted(tmp_path.iterdir(), key=lambda f: "+" in f.name)
    files[0].unlink()
    times = {file: file.stat().st_mtime_ns for file in files[1:]}
    done: list[tuple[int, int]] = []
    paint_task(pipeline, items(world), tmp_path, OPTIONS, report=lambda *n: done.append(n))
    assert done == [(2, 3), (3, 3)]
    assert {file: file.stat().st_mtime_ns for file in times} == times
    assert set(pictures(tmp_path)) == set(whole)


def test_a_call_of_the_model_has_the_same_items_after_a_cut(
    world: Path, pipeline: JCDMPipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, ...]] = []
    paint = pipeline.paint
    monkeypatch.setattr(
        pipeline, "paint", lambda b, *more: calls.append(b.subjects) or paint(b, *more)
    )
    paint_task(pipeline, items(world), tmp_path, OPTIONS, batch_size=2)
    next(path for path in sorted(tmp_path.iterdir()) if "+" in path.name).unlink()
    paint_task(pipeline, items(world), tmp_path, OPTIONS, batch_size=2)
    assert [len(call) for call in calls] == [2, 1, 2] and calls[2] == calls[0]


@contextmanager
def framed(pipeline: JCDMPipeline, fit: str) -> Iterator[None]:
    before = pipeline.config["fit"]
    pipeline.register_to_config(fit=fit)
    try:
        yield
    finally:
        pipeline.register_to_config(fit=before)


def test_truths_are_the_photographs_in_their_frame(
    world: Path, pipeline: JCDMPipeline, tmp_path: Path
) -> None:
    item, folders = items(world)[0], TaskFolders(tmp_path)
    with framed(pipeline, "56x40"):
        paint_task(pipeline, [item], folders.generated(0), OPTIONS)
        write_truths(pipeline, [item], folders)
    (target,) = item.targets
    truth = Image.open(folders.truth / f"{target.image.stem}.png")
    photo = Image.open(target.image).convert("RGB")
    expected = photo.resize((40, 56), Image.Resampling.BICUBIC)
    assert np.array_equal(np.asarray(truth), np.asarray(expected))
    (painted,) = folders.generated(0).iterdir()
    assert Image.open(painted).size == (40, 56)
    assert (
        pose_reader(folders.poses)(painted.with_name(f"{target.image.stem}.png"))[:, 2].tolist()
        == target.keypoint_valid.astype(float).tolist()
    )


@pytest.mark.parametrize("fit", ["crop", "letterbox", "56x40"])
def test_joints_of_a_truth_lie_where_its_picture_shows_them(world: Path, fit: str) -> None:
    """A dot painted at a joint is found again at the joint of the frame."""
    view = items(world)[0].targets[0]
    spec = ViewFormat(height=64, width=40, clip_size=32, fit=fit)
    photo, placement = place_view(view, spec)
    joint = int(np.flatnonzero(view.keypoint_valid)[0])
    canvas = np.zeros((photo.height, photo.width, 3), np.uint8)
    x, y = view.keypoints[joint] * (photo.width, photo.height)
    canvas[int(y) - 1 : int(y) + 2, int(x) - 1 : int(x) + 2] = 255
    frame = np.asarray(take_frame(placement.place(Image.fromarray(canvas)), placement))
    row, column = np.unravel_index(frame[..., 0].argmax(), frame.shape[:2])
    found = joints_in_frame(view, placement)[joint, :2] * (frame.shape[1], frame.shape[0])
    assert np.abs(found - (column + 0.5, row + 0.5)).max() < 2


def test_reference_rows_are_what_they_say(
    world: Path, pipeline: JCDMPipeline, tmp_path: Path
) -> None:
    folders = TaskFolders(tmp_path)
    for rank in (1, 0):
        write_truths(pipeline, items(world), folders, rank=rank, world_size=2)
    for item in items(world):
        for name, target in zip(item.names, item.targets, strict=True):
            copied = np.asarray(Image.open(folders.copied / name))
            gaps = {
                float(np.abs(view.keypoints - target.keypoints)[view.keypoint_valid].mean()): view
                for view in item.references
            }
            shown = np.asarray(Image.open(gaps[min(gaps)].image).convert("RGB"))
            if len(gaps) == 1:
                assert np.array_equal(copied, shown)
            truth, vae = (
                np.asarray(Image.open(folder / f"{target.image.stem}.png")).astype(int)
                for folder in (folders.truth, folders.reconstructed)
            )
            assert 0 < np.abs(truth - vae).mean() < 12


def test_the_nearest_reference_is_copied(world: Path) -> None:
    item = items(world)[1]
    assert len(item.references) == 2
    for wanted in item.references:
        assert nearest(item.references, wanted) is wanted


def test_a_bad_photograph_is_named_or_ends_it(
    world: Path, pipeline: JCDMPipeline, tmp_path: Path
) -> None:
    given, folders = items(world), TaskFolders(tmp_path / "out")
    (tmp_path / "bad.jpg").write_text("no picture")
    bad = replace(given[0].references[0], image=tmp_path / "bad.jpg")
    given[0] = replace(given[0], references=(bad,))
    with pytest.raises(DataError, match=r"bad\.jpg cannot be read"):
        paint_task(pipeline, given, tmp_path / "stopped", OPTIONS)
    found = [
        paint_task(
            pipeline, given, folders.generated(0), OPTIONS, rank=r, world_size=2, on_bad="skip"
        )
        for r in range(2)
    ]
    assert list(found[0]) == [0] and "bad.jpg cannot be read" in found[0][0] and not found[1]
    assert len(list(folders.generated(0).iterdir())) == 3
    write_truths(pipeline, given, folders, on_bad="skip")
    with pytest.raises(DataError, match=r"bad\.jpg"):
        write_truths(pipeline, given, folders)


def words(world: Path, tmp_path: Path, *more: str) -> list[str]:
    found = ["evaluate", "pipeline", "--pipeline", str(TINY), "--task", str(world / "task.json")]
    found += ["--index", str(world / "index.json"), "--out", str(tmp_path / "out")]
    found += ["--size", "128x96", "--num_steps", "1", "--cache", str(tmp_path / "cache")]
    return [*found, *more]


def test_the_command_paints_scores_and_goes_on(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words(world, tmp_path)) == 0
    clip = ["--clip", str(TINY / "image_encoder")]
    assert main(words(world, tmp_path, "--protocol", "strict", *clip)) == 0
    printed = capsys.readouterr().out
    assert "4 pairs by protocol strict" in printed
    scores = tmp_path / "out" / "scores_strict"
    assert (scores / "report" / "report.html").is_file()
    content = json.loads((scores / "scores.json").read_text())
    assert content["rows"].keys() == {"ground truth", "VAE reconstruction", "copied reference"}
    assert content["rows"]["ground truth"]["ssim"] == 1
    assert {"ssim_masked", "clip_i", "view_agreement", "ssim"} <= content["scores"].keys()
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["num_items"] == 3 and manifest["config"]["num_steps"] == 1
    assert set(FIELDS) < set(manifest) and set(FIELDS) < set(content)
    assert content["weights"]["pipeline"] == manifest["weights"]["pipeline"]
    assert len(content["weights"]["clip"]["sha256"]) == 64
    assert main(words(world, tmp_path, "--protocol", "strict")) == 1
    assert "exists; choose a new folder" in capsys.readouterr().err
    page = scores / "report" / "report.html"
    page.unlink()  # as a command that was cut before its last file leaves it
    assert main(words(world, tmp_path, "--protocol", "strict")) == 0 and page.is_file()
    capsys.readouterr()
    assert main(words(world, tmp_path, "--batch_size", "0")) == 1
    assert "--batch_size is 0" in capsys.readouterr().err
    assert main(words(world, tmp_path, "--seeds", "1", "1")) == 1
    assert "expected different numbers" in capsys.readouterr().err


def test_seeds_are_averaged_and_the_best_of_them_is_renamed(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--protocol", "strict", "--seeds", "3", "4"]
    assert main(words(world, tmp_path, *more)) == 0
    folder = tmp_path / "out" / "scores_strict"
    content = json.loads((folder / "scores.json").read_text())
    assert content["seeds"] == [3, 4] and content["spread"]["ssim_256"] > 0
    folder.rename(tmp_path / "mean")
    capsys.readouterr()
    assert main(words(world, tmp_path, *more, "--best_of", "true")) == 0
    assert "ssim_256_best_of_2" in capsys.readouterr().out
    best = json.loads((folder / "scores.json").read_text())["scores"]
    assert best["ssim_256_best_of_2"] > content["scores"]["ssim_256"] and "ssim_256" not in best
    assert main(["evaluate", "table", "--results", str(folder), str(tmp_path / "mean")]) == 0
    table = capsys.readouterr().out
    assert "SSIM-256 (best of 2)" in table and "mean of 2 seeds" in table
    assert table.count("copied reference") == 2, "once in each of the two tables"


def test_scores_of_look_alike_pairs_are_labelled_so_in_the_table(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = json.loads((world / "task.json").read_text()) | {"kind": LOOK_ALIKE}
    (tmp_path / "pairs.json").write_text(json.dumps(task))
    more = ["--protocol", "strict", "--task", str(tmp_path / "pairs.json")]
    assert main(words(world, tmp_path, *more)) == 0
    capsys.readouterr()
    folder = tmp_path / "out" / "scores_strict"
    assert main(["evaluate", "table", "--results", str(folder)]) == 0
    assert "4 look-alike pairs" in capsys.readouterr().out
    report = (folder / "report" / "report.md").read_text()
    assert "look-alike" in report


def test_what_is_skipped_is_said_in_the_result(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "world"
    shutil.copytree(world, copy)
    items(copy)[2].references[0].image.write_bytes(b"")
    assert main(words(copy, tmp_path, "--protocol", "strict")) == 1
    assert "cannot be read" in capsys.readouterr().err
    assert main(words(copy, tmp_path, "--protocol", "strict", "--on_bad", "skip")) == 0
    content = json.loads((tmp_path / "out" / "scores_strict" / "scores.json").read_text())
    assert content["num_pairs"] == 3 and list(content["skipped_items"]) == ["2"]


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
