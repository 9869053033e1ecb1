"""--preset, --sampler and their kin, where own photographs and test tasks are painted."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jcdm.cli.main import main
from jcdm.data.index import read_index
from jcdm.data.synthetic import write_dataset

TINY = Path(__file__).resolve().parents[2] / "assets" / "tiny"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn person's photographs with joints beside them, and a task of one item."""
    folder = tmp_path_factory.mktemp("world")
    index = write_dataset(
        folder / "people", num_identities=1, seed=3, size=(128, 96), num_views=3, test_fraction=1.0
    )
    (record,) = read_index(index)
    for number, view in enumerate(record.views):
        Image.open(view.image).save(folder / f"{number}.png")
        joints = np.concatenate([view.keypoints, view.keypoint_valid[:, None]], axis=1)
        (folder / f"{number}.json").write_text(json.dumps({"keypoints": joints.tolist()}))
    names = [view.image.name for view in record.views]
    item = {"subject": record.subject, "references": names[:1], "targets": names[1:]}
    task = {"format": "jcdm-task", "version": 1, "split": "test", "items": [item]}
    (folder / "task.json").write_text(json.dumps(task))
    return folder


def photographs(world: Path, out: Path, *more: str) -> int:
    words = ["--references", str(world / "0.png"), "--poses", str(world / "1.json")]
    return main(["sample", "images", *words, "--out", str(out), *more])


def settings(out: Path, name: str) -> dict:
    return json.loads((out / name).read_text())["config"]


def test_photographs_obey_preset_advice_and_options(world: Path, tmp_path: Path) -> None:
    """The shipped weights advise two steps without guidance; what is typed wins."""
    given = ["--preset", "low-memory", "--sampler", "ddim", "--guidance_scale", "2"]
    assert photographs(world, tmp_path / "a", *given, "--guidance_end", "0.5") == 0
    found = settings(tmp_path / "a", "sampling_manifest.json")
    assert (found["num_steps"], found["sampler"], found["guidance_end"]) == (2, "ddim", 0.5)
    assert (found["guidance_scale"], found["people_at_once"], found["vae_tile"]) == (2, 1, 512)
    assert photographs(world, tmp_path / "b") == 0
    found = settings(tmp_path / "b", "sampling_manifest.json")
    assert (found["sampler"], found["guidance_scale"]) == ("unipc", 1.0), "named, not 'auto'"
    assert (tmp_path / "a" / "1.png").read_bytes() != (tmp_path / "b" / "1.png").read_bytes()


def test_a_published_schedule_is_sampled_as_published(world: Path, tmp_path: Path) -> None:
    assert photographs(world, tmp_path / "a", "--schedule", "published") == 0
    found = settings(tmp_path / "a", "sampling_manifest.json")
    assert (found["sampler"], found["guidance_kept"], found["fixed_keys"]) == ("ddim", 0, False)


def test_a_task_obeys_preset_and_options(world: Path, tmp_path: Path) -> None:
    words = ["evaluate", "pipeline", "--pipeline", str(TINY), "--task", str(world / "task.json")]
    words += ["--index", str(world / "people" / "index.json"), "--out", str(tmp_path / "a")]
    assert main([*words, "--preset", "exact", "--num_steps", "1", "--vae_tile", "64"]) == 0
    found = settings(tmp_path / "a", "manifest.json")
    assert (found["sampler"], found["num_steps"], found["vae_tile"]) == ("ddim", 1, 64)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--preset", "slow"], "preset"),
        (["--sampler", "heun"], "sampler"),
        (["--guidance_start", "0.9", "--guidance_end", "0.1"], "guidance_start is 0.9"),
        (["--vae_tile", "100"], "vae_tile is 100; expected a multiple of 16"),
    ],
)
def test_wrong_options_are_one_line(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], words: str
) -> None:
    assert photographs(world, tmp_path / "a", *more) == 1
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1
    assert not (tmp_path / "a").exists()
