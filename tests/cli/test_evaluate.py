"""`evaluate images` and `evaluate table` as they are typed, on pictures the test makes."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.metrics import structural_similarity

from jcdm.cli.main import main

SIZE = (96, 66)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three pairs whose names agree, smooth pictures with noise on the generated side."""
    root = tmp_path_factory.mktemp("pictures")
    draw = np.random.default_rng(0)
    for kind in ("truth", "generated"):
        (root / kind).mkdir()
    for number in range(3):
        small = draw.integers(0, 256, (6, 5, 3), np.uint8)
        truth = Image.fromarray(small).resize(SIZE[::-1], Image.Resampling.BICUBIC)
        noise = draw.integers(-20, 20, (*SIZE, 3))
        noisy = np.clip(np.asarray(truth).astype(int) + noise, 0, 255).astype(np.uint8)
        truth.save(root / "truth" / f"p{number}.png")
        Image.fromarray(noisy).save(root / "generated" / f"p{number}.png")
    return root


def evaluate(folders: Path, out: Path, *more: str, protocol: str = "strict") -> int:
    words = ["--generated", str(folders / "generated"), "--truth", str(folders / "truth")]
    words += ["--protocol", protocol, "--size", f"{SIZE[0]}x{SIZE[1]}", "--out", str(out)]
    return main(["evaluate", "images", *words, *more])


def test_scores_are_written_whole_and_by_pair(
    folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(folders, tmp_path / "out", "--method", "noise") == 0
    printed = capsys.readouterr().out
    assert "3 pairs by protocol strict" in printed and "note: fid left out" in printed
    content = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert content["protocol"]["name"] == "strict" and content["method"] == "noise"
    rows = list(csv.DictReader((tmp_path / "out" / "per_pair.csv").open()))
    assert [row["truth"] for row in rows] == ["p0.png", "p1.png", "p2.png"]
    for name in ("psnr", "ssim"):
        mean = np.mean([float(row[name]) for row in rows])
        assert content["scores"][name] == pytest.approx(mean, rel=1e-6)
    first = [
        np.asarray(Image.open(folders / kind / "p0.png"), np.float32) / 255
        for kind in ("truth", "generated")
    ]
    slow = structural_similarity(*first, win_size=51, channel_axis=-1, data_range=1.0)
    assert float(rows[0]["ssim"]) == pytest.approx(slow, rel=1e-5)


def test_scores_stand_in_the_paper_table(
    folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("one", "two"):
        assert evaluate(folders, tmp_path / name, "--method", name) == 0
    results = [str(tmp_path / name) for name in ("one", "two")]
    capsys.readouterr()
    tables = ["--benchmark", "market", "--out", str(tmp_path / "tables")]
    assert main(["evaluate", "table", "--results", *results, *tables]) == 0
    printed = capsys.readouterr().out
    assert "| **one** |" in printed and "| **two** |" in printed
    assert "without LPIPS, FID, KID" in printed
    assert {file.suffix for file in (tmp_path / "tables").iterdir()} == {".md", ".tex", ".html"}


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (["--protocol", "nope"], "protocol 'nope' is unknown"),
        (["--size", "big"], "--size is 'big'; expected HEIGHTxWIDTH"),
        (["--size", "crop"], "expected HEIGHTxWIDTH"),
        (["--truth", "nowhere"], "nowhere"),
        (["--scores", "fid"], "fid was asked for: no Inception-v3 weights"),
        (["--scores", "beauty"], "score 'beauty' is none of protocol strict"),
        (["--inception", "nothing.pth"], "nothing.pth not found"),
    ],
)
def test_a_wrong_wish_is_one_line_and_leaves_nothing(
    folders: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    more: list[str],
    expected: str,
) -> None:
    assert evaluate(folders, tmp_path / "out", *more) == 1
    error = capsys.readouterr().err
    assert expected in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_folder_without_scores_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for content in (None, "{", "[]", '{"format": "jcdm-scores", "version": 1}'):
        if content is not None:
            (tmp_path / "scores.json").write_text(content)
        assert main(["evaluate", "table", "--results", str(tmp_path)]) == 1
        error = capsys.readouterr().err
        assert "holds no scores" in error and error.count("\n") == 1
