"""`bench data` and `bench evaluate` on small amounts."""

import json
from pathlib import Path

import pytest

from jcdm.bench import data, evaluation, lists, loading, processes
from jcdm.cli.main import main
from jcdm.manifest import FIELDS


def test_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(data, "_NUM_MAPS", 4)
    monkeypatch.setattr(data, "_NUM_PEOPLE", 2)
    monkeypatch.setattr(data, "NUM_STEPS", 2)
    monkeypatch.setattr(loading, "NUM_WORKERS", 1)
    monkeypatch.setattr(data, "VIEW", (64, 48))
    monkeypatch.setattr(processes, "NUM_PROCESSES", 1)  # two of them: test_bench_loading.py
    monkeypatch.setattr(processes, "reading_rate", lambda _index, count: 10.0 * count)
    for counts in (lists.NUM_SUBJECTS, lists.NUM_VIEWS, lists.NUM_PAIRS):
        for split, count in counts.items():
            monkeypatch.setitem(counts, split, count // 500)
    out = tmp_path / "bench.json"
    assert main(["bench", "data", "--num_repeats", "1", "--json", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "maps/s" in printed and "imports/s" in printed
    content = json.loads(out.read_text())
    assert [row["unit"] for row in content["rows"] if row["kind"] == "timing"] == [
        "maps",
        "imports",
    ]
    goals = [row for row in content["rows"] if row["kind"] == "goal"]
    assert [goal["at_least"] for goal in goals] == [False, True, False, True, True]
    assert content["bench"] == "data" and set(FIELDS) < set(content)


def test_evaluate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(evaluation, "SIZE", (64, 56))
    monkeypatch.setattr(evaluation, "_BATCH", 2)
    monkeypatch.setattr(evaluation, "NUM_REAL", 12)
    monkeypatch.setattr(evaluation, "NUM_PAIRS", 8)
    monkeypatch.setattr(evaluation, "NUM_FEATURES", 16)
    out = tmp_path / "bench.json"
    assert main(["bench", "evaluate", "--num_repeats", "1", "--json", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "times as fast" in printed and "MB at most" in printed
    assert json.loads(out.read_text())["bench"] == "evaluate"


def test_equal_numbers_before_any_speed() -> None:
    """The two ways that are compared agree, or the comparison means nothing."""
    _, gap = evaluation.compare_similarities(num_repeats=1)
    assert gap < 1e-6


def test_a_wrong_word_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "everything"]) == 1
    assert (
        "expected one of prior, denoiser, motion, sample, cache, data, evaluate"
        in capsys.readouterr().err
    )
