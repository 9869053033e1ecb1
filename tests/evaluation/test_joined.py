import json
from pathlib import Path

import pytest

from jcdm.errors import DataError
from jcdm.evaluation.joined import join_reports, read_metrics, training_section
from jcdm.evaluation.report import Section, Table, read_report, write_report
from jcdm.records import Scores


def write_run(folder: Path, losses: list[float]) -> Path:
    folder.mkdir()
    lines = [{"step": i, "images": 4 * i, "loss": loss} for i, loss in enumerate(losses)]
    lines.append({"step": len(losses) - 1, "validation_cosine": 0.5, "note": "text"})
    (folder / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    (folder / "config.yaml").write_text("run: {seed: 4}\n")
    return folder


def write_test(folder: Path) -> Path:
    table = Table(title="T", rows={"tried": Scores(values={"SSIM": (0.5, 3)})})
    section = Section(title="A test", intro="", weights="tiny", tables=(table,))
    write_report(folder, title="A test", intro="", sections=[section], manifest={"seed": 5})
    return folder


def test_tests_and_runs_stand_in_one_page(tmp_path: Path) -> None:
    folders = [write_run(tmp_path / "stage1", [3.0, 2.0]), write_test(tmp_path / "prior")]
    page = join_reports(folders, tmp_path / "all", title="All", intro="Everything.")
    document = read_report(tmp_path / "all")
    assert [s["title"] for s in document["sections"]] == ["Training: stage1", "A test"]
    assert list(document["manifest"].values()) == [{"run": {"seed": 4}}, {"seed": 5}]
    assert page.read_text(encoding="utf-8").count("data:image/png") == 2
    assert "loss 2" in document["sections"][0]["figures"][0]["caption"]
    assert "stage1" in document["sections"][0]["weights"]


def test_curves_follow_the_log(tmp_path: Path) -> None:
    figures = [
        training_section(write_run(tmp_path / name, losses), tmp_path / "pictures").figures[0]
        for name, losses in (("a", [3.0, 2.0]), ("b", [3.0, 1.0]), ("c", [3.0, 2.0]))
    ]
    drawn = [figure.file.read_bytes() for figure in figures]
    assert drawn[0] == drawn[2] != drawn[1]


def test_a_step_logged_twice_counts_once(tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    entries = [(1, 5.0), (2, 4.0), (3, float("nan")), (2, 3.0)]
    file.write_text("".join(json.dumps({"step": s, "loss": v}) + "\n" for s, v in entries))
    assert read_metrics(file) == {"loss": ([1.0, 2.0], [5.0, 3.0])}


def test_wrong_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds neither report\.json nor metrics\.jsonl"):
        join_reports([tmp_path], tmp_path / "out", title="", intro="")
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "seconds": 2}\n')
    with pytest.raises(DataError, match="has no loss"):
        training_section(tmp_path, tmp_path)
    (tmp_path / "metrics.jsonl").write_text("oops\n")
    with pytest.raises(DataError, match="line 1: expected a JSON object"):
        read_metrics(tmp_path / "metrics.jsonl")
