"""Every number recorded from the published implementation is met by our models."""

import json
import os
import re
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
import torch
from fixture_files import another_value, change_tensors, copy_fixtures, list_files
from safetensors.torch import load_file, save_file

from jcdm.cli.main import main
from jcdm.compat.parity.fixtures import MANIFEST, TENSORS, FixtureFolder
from jcdm.compat.parity.run import CASES, NO_COUNTERPART, Report, is_output, run_parity

SUMMARY = re.compile(r"\d+ passed, \d+ failed, \d+ missing")
SMALL = "apm_nomotion"


@pytest.fixture(scope="module")
def report(parity_dir: Path) -> Report:
    return run_parity(parity_dir)


@pytest.fixture()
def small(parity_dir: Path, tmp_path: Path) -> Path:
    """A folder that holds one fixture, by its own manifest."""
    return copy_fixtures(parity_dir, tmp_path / "small", {SMALL})


@pytest.mark.parametrize("name", CASES)
def test_every_quantity_is_within_its_tolerance(report: Report, name: str) -> None:
    rows = [row for row in report.rows if row.name.startswith(f"{name}/")]
    assert rows
    assert not [str(row) for row in rows if not row.passed]


def test_nothing_is_missing_and_nothing_compared_twice(report: Report) -> None:
    assert not report.missing
    names = [row.name for row in report.rows]
    assert len(names) == len(set(names))


def test_every_exception_is_one_of_the_record(parity_dir: Path) -> None:
    recorded = ["/".join(pair) for pair in FixtureFolder(parity_dir).listed_tensors()]
    for pattern in NO_COUNTERPART:
        assert any(fnmatchcase(name, pattern) for name in recorded), pattern


def test_another_record_fails_in_every_row(parity_dir: Path, tmp_path: Path) -> None:
    folder = copy_fixtures(parity_dir, tmp_path / "changed")
    for path in folder.glob(f"*{TENSORS}"):
        fixture = path.name.removesuffix(TENSORS)
        change_tensors(
            path,
            lambda key, t, f=fixture: another_value(key, t) if is_output(f"{f}/{key}") else t,
        )
    rows = {row.name: row for row in run_parity(folder).rows}
    outputs = {f"{f}/{t}" for f, t in FixtureFolder(folder).listed_tensors()}
    outputs = {name for name in outputs if is_output(name)}
    assert outputs <= rows.keys()
    assert not sorted(name for name in outputs if rows[name].passed)


def test_a_named_folder_without_records_is_not_skipped(tmp_path: Path) -> None:
    one = f"{__file__}::test_nothing_is_missing_and_nothing_compared_twice"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", one],
        env=os.environ | {"JCDM_PARITY_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and "holds no MANIFEST.json" in done.stdout


def test_the_command_ends_with_its_counts(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["parity", "--fixtures", str(small)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"{len(lines) - 1} passed, 0 failed, 0 missing"
    assert all(line.startswith(f"{SMALL}/") and "  pass" in line for line in lines[:-1])


def refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Run the command where it must fail: one line of error, and the counts last on stdout."""
    assert main(["parity", "--fixtures", str(folder)]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("jcdm: ") and captured.err.count("\n") == 1
    lines = captured.out.splitlines()
    assert SUMMARY.fullmatch(lines[-1])
    return lines


def test_a_changed_weight_fails(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = small / f"{SMALL}.weights.safetensors"
    change_tensors(weights, lambda key, t: 1.1 * t if key == "proj_in.bias" else t)
    lines = refused(small, capsys)
    assert any(f"{SMALL}/out.pred " in line and "FAIL" in line for line in lines)
    assert any(f"{SMALL}/mid.time_embedding " in line and "pass" in line for line in lines)
    assert lines[-1].endswith(", 0 missing")


@pytest.mark.parametrize(
    ("changed", "reason"),
    [(torch.tensor(float("nan")), "NaN"), (torch.zeros(2), "has shape (), expected (2,)")],
)
def test_a_bad_record_is_a_failed_row(
    small: Path, capsys: pytest.CaptureFixture[str], changed: torch.Tensor, reason: str
) -> None:
    path = small / f"{SMALL}{TENSORS}"
    change_tensors(path, lambda key, t: changed if key == "out.loss" else t)
    failed = [line for line in refused(small, capsys) if "FAIL" in line]
    assert len(failed) == 1 and "out.loss" in failed[0] and reason in failed[0]


def test_a_weight_of_another_shape_fails_without_a_crash(
    small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = small / f"{SMALL}.weights.safetensors"
    change_tensors(weights, lambda key, t: t[:-1] if key == "proj_in.bias" else t)
    lines = refused(small, capsys)
    assert any(line.startswith(f"{SMALL} ") and "RuntimeError" in line for line in lines)
    assert any(line.startswith(f"missing  {SMALL}/out.pred ") for line in lines)


def test_an_unknown_fixture_is_missing(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tensors = {"in.x": torch.zeros(1), "out.y": torch.zeros(1)}
    save_file(tensors, small / f"novel{TENSORS}")
    list_files(small)
    lines = refused(small, capsys)
    assert "missing  novel/out.y  no case knows this fixture" in lines
    assert f"missing  novel{TENSORS}  no case reads this file" in lines
    assert lines[-1].endswith(" 0 failed, 2 missing")


def test_a_tensor_that_no_case_knows_is_missing(
    small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = small / f"{SMALL}{TENSORS}"
    save_file(load_file(path) | {"mid.novel": torch.zeros(1)}, path)
    list_files(small)
    lines = refused(small, capsys)
    assert f"missing  {SMALL}/mid.novel  recorded, but compared by no case" in lines


@pytest.mark.parametrize("suffix", [TENSORS, ".weights.safetensors", ".json"])
def test_a_deleted_file_is_missing(
    small: Path, capsys: pytest.CaptureFixture[str], suffix: str
) -> None:
    (small / f"{SMALL}{suffix}").unlink()
    lines = refused(small, capsys)
    assert any(line.startswith(f"missing  {SMALL}{suffix}  listed in") for line in lines)
    assert any(line.startswith(f"missing  {SMALL}/out.pred  ") for line in lines)


def test_another_hash_is_a_failed_row(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = json.loads((small / MANIFEST).read_text())
    manifest[f"{SMALL}.json"]["sha256"] = "0" * 64
    (small / MANIFEST).write_text(json.dumps(manifest))
    lines = refused(small, capsys)
    failed = [line for line in lines if "FAIL" in line]
    assert len(failed) == 1 and failed[0].startswith(f"{SMALL}.json sha256 ")
    assert lines[-1].endswith(" 1 failed, 0 missing")


@pytest.mark.parametrize("name", [f"{SMALL}{TENSORS}", f"{SMALL}.weights.safetensors"])
def test_a_cut_off_file_is_no_crash(
    small: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (small / name).write_bytes((small / name).read_bytes()[:1000])
    lines = refused(small, capsys)
    assert any(line.startswith(f"{name} sha256 ") for line in lines)
    assert any(line.startswith(f"missing  {SMALL}/out.pred ") for line in lines)


@pytest.mark.parametrize("content", [None, "{", "[]", "{}", '{"a.json": "text"}'])
def test_a_folder_without_manifest_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None
) -> None:
    if content is not None:
        (tmp_path / MANIFEST).write_text(content)
    assert main(["parity", "--fixtures", str(tmp_path)]) == 1
    captured = capsys.readouterr()
    assert MANIFEST in captured.err and captured.err.count("\n") == 1
    assert not captured.out
