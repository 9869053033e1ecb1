"""Every number recorded from the published scoring scripts is met by our protocols."""

import json
import shutil
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from jcdm.cli.main import main
from jcdm.compat.parity.comparison import Row
from jcdm.compat.parity.run import Report
from jcdm.evaluation.parity.recorded import MetricFolder
from jcdm.evaluation.parity.run import INPUTS, Comparison, run_metric_parity

EDGE = ("size", "edge", "pairs", "fid_real_order", "fid_generated_order", "fid_real_dropped")
KEPT = {  # of the small record: everything of the small cases but one root, little of the large
    "pcdms_512": None,
    "cfld_512": lambda key: key not in ("fid", "sqrtm_info", "other_environment"),
    "pcdms_256": lambda key: key in EDGE,
    "cfld_256": lambda key: key in (*EDGE, "batches"),
}


def cut(folder: Path, target: Path, kept: dict[str, Any]) -> Path:
    """Copy a record by links, with the entries of some cases only."""
    expected = json.loads((folder / "expected.json").read_text())
    small = {key: value for key, value in expected.items() if not key.startswith(("pcdms", "cfld"))}
    for case, keep in kept.items():
        small[case] = {k: v for k, v in expected[case].items() if keep is None or keep(k)}
    target.mkdir()
    for path in folder.iterdir():
        if path.is_dir() or path.suffix == ".csv":
            (target / path.name).symlink_to(path)
    arrays = np.load(folder / "intermediates.npz")
    chosen = {
        k: arrays[k] for k in arrays.files if any(k.startswith(c) for c in kept if "512" in c)
    }
    np.savez(target / "intermediates.npz", **chosen)
    (target / "expected.json").write_text(json.dumps(small))
    return target


@pytest.fixture(scope="module")
def comparison(metric_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    folder = cut(metric_dir, tmp_path_factory.mktemp("metrics") / "small", KEPT)
    return Comparison(MetricFolder(folder))


def altered(value: Any) -> Any:
    """Change every number and word of a recorded quantity by more than its tolerance."""
    if isinstance(value, list):
        return [altered(entry) for entry in value] or ["one more"]
    if isinstance(value, dict):
        return {key: altered(entry) for key, entry in value.items()}
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return _altered_word(value)
    return value + 1 if isinstance(value, int) else value * 1.001 + 0.003


def _altered_word(word: str) -> str:
    try:
        return str(float(word) * 1.1 + 0.1) if np.isfinite(float(word)) else "1.0"
    except ValueError:
        return f"{word}x"


def test_every_recorded_number_is_met_and_none_is_missing(comparison: Comparison) -> None:
    rows = dict(comparison.rows())
    assert len(rows) > 150
    assert not [name for name, row in rows.items() if row is None]
    assert not [str(row) for row in rows.values() if row is not None and not row.passed]
    assert {"weights/alexnet/sha256", "pcdms_512/fid", "cfld_512/truth_uint8"} <= rows.keys()


def test_another_record_fails_in_every_row(
    comparison: Comparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = comparison.recorded
    kept = ("tolerances", "format", "environment_recorded", "environment_second")
    changed = {}
    for key, value in recorded.expected.items():
        inputs = kept if key != "weights" else ("set_seed",)
        changed[key] = value if key in kept else altered(value)
        if isinstance(value, dict) and key not in kept:
            for name in (*inputs, "size", "crop_files"):
                if name in value:
                    changed[key][name] = value[name]
    arrays = {name: array + 0.003 for name, array in recorded.arrays.items()}
    monkeypatch.setattr(recorded, "expected", changed)
    monkeypatch.setattr(recorded, "arrays", arrays)
    rows = {name: row for name, row in comparison.rows() if not name.startswith("resized_")}
    assert not [name for name, row in rows.items() if row is None or row.passed]


def test_an_unknown_number_is_missing(
    comparison: Comparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison.recorded, "expected", {"pcdms_512": {"novel": 1}, "odd": 2})
    monkeypatch.setattr(comparison.recorded, "arrays", {"pcdms_512_novel": np.zeros(1)})
    found = dict(comparison.rows())
    assert [
        found[name] for name in ("pcdms_512/novel", "odd", "intermediates/pcdms_512_novel")
    ] == [
        None,
        None,
        None,
    ]


def test_every_exception_is_one_of_the_record(metric_dir: Path) -> None:
    names = [name for name, _ in MetricFolder(metric_dir).leaves()]
    for pattern in INPUTS:
        assert any(fnmatchcase(name, pattern) for name in names), pattern


@pytest.fixture()
def edge(metric_dir: Path, tmp_path: Path) -> Path:
    """A record of the corner cases alone, with pictures that a test may change."""
    folder = cut(metric_dir, tmp_path / "edge", {"pcdms_256": lambda key: key in ("size", "edge")})
    expected = json.loads((folder / "expected.json").read_text())
    expected["weights"] = {"set_seed": expected["weights"]["set_seed"]}
    (folder / "expected.json").write_text(json.dumps(expected))
    for name in ("edge_truth", "edge_generated"):
        (folder / name).unlink()
        shutil.copytree(metric_dir / name, folder / name)
    for path in folder.glob("resized_*"):
        path.unlink()
    return folder


def change_picture(folder: Path) -> None:
    path = sorted((folder / "edge_generated").iterdir())[0]
    path.chmod(0o644)
    path.parent.chmod(0o755)
    Image.fromarray(255 - np.asarray(Image.open(path).convert("RGB"))).save(path)


def change_number(folder: Path) -> None:
    path = folder / "expected.json"
    text = path.read_text()
    expected = json.loads(text)
    expected["pcdms_256"]["edge"]["per_image"]["psnr"][1] = "9.9"
    path.write_text(json.dumps(expected))


def write_text_as_picture(folder: Path) -> None:
    path = sorted((folder / "edge_generated").iterdir())[0]
    path.parent.chmod(0o755)
    path.unlink()
    path.write_text("not a picture")


def test_the_command_ends_with_its_counts(edge: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["parity", "--metric_fixtures", str(edge)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"{len(lines) - 1} passed, 0 failed, 0 missing"


@pytest.mark.parametrize("change", [change_picture, change_number, write_text_as_picture])
def test_an_altered_copy_fails(
    edge: Path, capsys: pytest.CaptureFixture[str], change: Callable[[Path], None]
) -> None:
    change(edge)
    assert main(["parity", "--metric_fixtures", str(edge)]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("jcdm: ") and captured.err.count("\n") == 1
    assert "FAIL" in captured.out and captured.out.splitlines()[-1].endswith(" 0 missing")


def test_a_deleted_file_of_arrays_is_missing(metric_dir: Path, edge: Path) -> None:
    expected = json.loads((edge / "expected.json").read_text())
    expected["pcdms_256"] |= {"fid": 0.0}
    recorded = MetricFolder(edge)
    recorded.expected = expected
    assert "pcdms_256_feat_real" in recorded.required_arrays()
    (edge / "intermediates.npz").unlink()
    assert MetricFolder(edge).array_problem == "not in the folder"


@pytest.mark.parametrize("content", [None, "{", "[]", "{}", '{"tolerances": {}}'])
def test_a_folder_without_record_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None
) -> None:
    if content is not None:
        (tmp_path / "expected.json").write_text(content)
    assert main(["parity", "--metric_fixtures", str(tmp_path)]) == 1
    captured = capsys.readouterr()
    assert "expected.json" in captured.err and captured.err.count("\n") == 1


def test_the_command_needs_a_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["parity"]) == 1
    assert "--metric_fixtures" in capsys.readouterr().err


def test_both_folders_end_in_one_summary(
    edge: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = (Row(name="part/one", passed=True), Row(name="part/two", passed=False))
    parts = Report(rows=rows, missing={"part/three": "not in the folder"})
    monkeypatch.setattr("jcdm.compat.parity.run.run_parity", lambda folder: parts)
    assert main(["parity", "--fixtures", str(edge), "--metric_fixtures", str(edge)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"{len(lines) - 3} passed, 1 failed, 1 missing"
    assert any(line.startswith("pcdms_256/edge/") for line in lines)


@pytest.mark.slow
def test_the_whole_record_is_met(metric_dir: Path) -> None:
    report = run_metric_parity(metric_dir)
    assert not [str(row) for row in report.rows if not row.passed]
    assert not report.missing
