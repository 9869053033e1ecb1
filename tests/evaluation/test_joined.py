import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jcdm.errors import DataError
from jcdm.evaluation.joined import join_reports, validation_fall
from jcdm.evaluation.report import Section, Table, read_report, write_report
from jcdm.records import Scores


def write_run(folder: Path, losses: list[float]) -> Path:
    (folder / "pictures").mkdir(parents=True)
    for step in (1, 2):
        Image.fromarray(np.full((4, 4, 3), step, np.uint8)).save(
            folder / "pictures" / f"step_{step}.png"
        )
    rows = [{"step": i, "loss": 2 * v, "validation_loss": v} for i, v in enumerate(losses)]
    rows.insert(1, {"step": 0, "loss": 1.0})
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def write_test(folder: Path) -> Path:
    table = Table(title="Scores", rows={"tried": Scores(values={"SSIM": (0.5, 3)})})
    section = Section(title="A test", intro="", weights="shipped", tables=(table,))
    write_report(folder, title="A test", intro="", sections=[section], manifest={"seed": 5})
    return folder


def test_tests_and_runs_stand_in_one_page(tmp_path: Path) -> None:
    run, test = write_run(tmp_path / "stage1", [4.0, 3.0]), write_test(tmp_path / "prior")
    page, text = join_reports(tmp_path / "all", title="All", runs=[run], tests=[test])
    document = read_report(tmp_path / "all")
    assert {s["title"] for s in document["sections"]} == {"A test", "Training: stage1"}
    assert document["manifest"]["tests"] == {"prior": {"seed": 5}}
    (training,) = (s for s in document["sections"] if "stage1" in s["title"])
    assert "4.0000 at first, 3.0000 at the end, a fall of 25 %" in training["intro"]
    assert "stage1" in training["weights"]
    assert page.read_text(encoding="utf-8").count("data:image/png") == 2
    shown = tmp_path / "all" / training["figures"][1]["file"]
    assert np.asarray(Image.open(shown)).max() == 2
    assert text.splitlines()[0] == "Scores"
    assert text.splitlines()[2].split() == ["tried", "0.5000"]


def test_curves_follow_the_log(tmp_path: Path) -> None:
    drawn = []
    for name, losses in (("a", [3.0, 2.0]), ("b", [3.0, 1.0]), ("c", [3.0, 2.0])):
        run = write_run(tmp_path / name / "stage1", losses)
        join_reports(tmp_path / name, title="All", runs=[run], tests=[])
        drawn.append((tmp_path / name / "stage1.png").read_bytes())
    assert drawn[0] == drawn[2] != drawn[1]


def test_folders_without_results_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no report\.json"):
        join_reports(tmp_path / "out", title="", runs=[], tests=[tmp_path])
    with pytest.raises(DataError, match="has 1 validation losses, expected two"):
        validation_fall(write_run(tmp_path / "run", [1.0]))
