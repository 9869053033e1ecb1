"""The paper table: published rows as printed, ours beside them, marks where codes differ."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from jcdm.errors import ConfigError
from jcdm.evaluation.paper_table import (
    FORMATS,
    PaperRow,
    PaperTable,
    benchmarks,
    build_table,
    render_table,
    write_tables,
)

OURS = PaperRow(
    method="ours & 3 references",
    scores={"SSIM": 0.71234, "FID": 9.87654, "KID": 0.0123},
    code="pcdms",
    source="this run",
    is_ours=True,
)


def test_published_scores_stand_as_printed() -> None:
    assert benchmarks() == ("deepfashion_256", "deepfashion_512", "market")
    rows = {row.method: row for row in build_table("deepfashion_256", []).rows}
    assert rows["PIDM"].scores == {"SSIM": 0.7312, "LPIPS": 0.1678, "FID": 6.3671}
    assert "best of four" in rows["PCDMs"].note
    for benchmark in benchmarks():
        for row in build_table(benchmark, []).rows:
            assert row.source and row.code and row.scores, row.method
            assert 0 < row.scores.get("SSIM", 0.5) < 1 and row.scores.get("FID", 1) > 1


def test_rows_of_other_codes_are_marked() -> None:
    rows = [
        PaperRow(method=code, scores={}, code=code, source="a paper")
        for code in ("pcdms", "cfld", "unknown")
    ]
    table = PaperTable(title="", columns=(), rows=(*rows, OURS))
    assert [table.mark(row) for row in table.rows] == ["", "*", "?", ""]
    printed = build_table("deepfashion_512", [OURS])
    assert {printed.mark(row) for row in printed.rows if not row.is_ours} == {"?"}


def test_columns_of_ours_come_after_the_known_ones() -> None:
    assert build_table("market", [OURS]).columns == ("SSIM", "LPIPS", "FID", "KID")
    assert build_table("deepfashion_512", []).columns == ("SSIM", "LPIPS", "FID", "PSNR")


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_holds_every_row(kind: str) -> None:
    table = build_table("deepfashion_256", [OURS])
    text = render_table(table, kind)
    assert "0.7123" in text and "9.877" in text and "0.0123" in text
    assert text.count("IMAGPose, table 1") == 11
    if kind == "md":
        lines = [line for line in text.splitlines() if line.startswith("|")]
        assert len(lines) == 2 + len(table.rows)
        assert len({line.count("|") for line in lines}) == 1
        assert "**ours & 3 references**" in text
    if kind == "tex":
        assert r"\textbf{ours \& 3 references}" in text
        rows = [line for line in text.splitlines() if line.endswith(r"\\")]
        assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {len(table.columns) + 2}
        assert text.count("{") == text.count("}")
    if kind == "html":
        assert "ours &amp; 3 references" in text and text.count("<tr") == 1 + len(table.rows)


def test_tables_are_written_as_files(tmp_path: Path) -> None:
    files = write_tables([build_table("market", [OURS])], tmp_path / "new")
    assert [file.name for file in files] == ["table.md", "table.tex", "table.html"]
    assert all(file.read_text(encoding="utf-8") for file in files)


@pytest.mark.parametrize("kind", FORMATS)
def test_an_interval_stands_with_its_score(kind: str) -> None:
    row = replace(OURS, intervals={"SSIM": (0.7, 0.72), "FID": (9.5, 10.25), "PSNR": (1, 2)})
    text = " ".join(render_table(build_table("market", [row]), kind).split())
    if kind == "html":
        assert "0.7123 <small>[0.7000, 0.7200]</small>" in text
    else:
        assert "0.7123 [0.7000, 0.7200]" in text and "9.877 [9.500, 10.250]" in text
    assert "[1.000" not in text, "an interval without its score"
    assert text.count("[0.7000") == 1
    assert "[0" not in render_table(build_table("market", [OURS]), kind)


def test_without_a_benchmark_our_rows_stand_alone() -> None:
    other = replace(OURS, method="copied", is_ours=False)
    table = build_table(None, [other, OURS])
    assert table.rows == (other, OURS) and not table.has_marks
    assert "another code" not in render_table(table, "html")
    printed = build_table("market", [OURS])
    assert printed.has_marks and "another code" in render_table(printed, "html")


def test_scores_of_persons_have_a_direction_and_come_last() -> None:
    row = replace(OURS, scores={"garment ΔE": 3.0, "mask-PSNR": 12.3456, "SSIM": 0.5})
    table = build_table(None, [row])
    assert table.columns == ("SSIM", "mask-PSNR", "garment ΔE")
    assert "mask-PSNR ↑" in render_table(table, "md") and "garment ΔE ↓" in render_table(
        table, "md"
    )
    assert "12.346" in render_table(table, "md")


def test_equal_rows_are_one_key_and_different_ones_are_not() -> None:
    assert len({OURS, replace(OURS), replace(OURS, scores={"SSIM": 0.1})}) == 2


def test_an_unknown_benchmark_is_named() -> None:
    with pytest.raises(ConfigError, match="'fashion' is unknown; expected one of deepfashion_256"):
        build_table("fashion", [])


def test_latex_reads_no_command_in_a_name() -> None:
    row = PaperRow(
        method="a_b^c~d\\e{f}", scores={"SSIM": 0.5}, code="strict", source="x", is_ours=True
    )
    text = render_table(build_table("market", [row]), "tex")
    name = r"a\_b\textasciicircum{}c\textasciitilde{}d\textbackslash{}e\{f\}"
    assert name in text
