"""`evaluate images` and `evaluate table` as they are typed, on pictures the test makes."""

import csv
import json
import os
import shutil
import subprocess
import sys
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
    words += ["--cache", str(folders / "cache")]
    return main(["evaluate", "images", *words, *more])


def test_scores_are_written_whole_and_by_pair(
    folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(folders, tmp_path / "out", "--method", "noise") == 0
    printed = capsys.readouterr().out
    assert "3 pairs by protocol strict" in printed
    assert "note: fid, fid_exact, kid left out: no Inception-v3" in printed
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
        (["--scores", "beauty"], "score 'beauty' is unknown; expected some of psnr"),
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


def damaged(folders: Path, copy: Path) -> Path:
    """Copy the pictures: p1 generated is text, p3 is far too large, p4 has no truth."""
    shutil.copytree(folders / "truth", copy / "truth")
    shutil.copytree(folders / "generated", copy / "generated")
    (copy / "generated" / "p1.png").write_text("no picture")
    for name in ("p3", "p4"):
        shutil.copy(folders / "generated" / "p0.png", copy / "generated" / f"{name}.png")
    Image.new("1", (30_000, 30_000)).save(copy / "truth" / "p3.png")
    return copy


def test_damaged_pictures_end_it_or_are_left_out_and_named(
    folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = damaged(folders, tmp_path / "copy")
    assert evaluate(copy, tmp_path / "out") == 1
    assert "1 of 10 pictures to score not found" in capsys.readouterr().err
    (copy / "generated" / "p4.png").unlink()
    assert evaluate(copy, tmp_path / "out") == 1
    assert "p1.png cannot be read: it is empty or not a picture" in capsys.readouterr().err
    shutil.copy(folders / "generated" / "p0.png", copy / "generated" / "p4.png")
    assert evaluate(copy, tmp_path / "out", "--on_bad", "skip") == 0
    assert "left out: p3.png: picture" in capsys.readouterr().out
    content = json.loads((tmp_path / "out" / "scores.json").read_text())
    skipped = {entry["file"]: entry["reason"] for entry in content["skipped"]}
    assert skipped.keys() == {"p1.png", "p3.png", "p4.png"} and content["num_pairs"] == 2
    assert "too many pixels" in skipped["p3.png"] and "not found" in skipped["p4.png"]
    for name in ("p1", "p3", "p4"):
        (copy / "generated" / f"{name}.png").unlink()
    assert evaluate(copy, tmp_path / "rest") == 0
    rest = json.loads((tmp_path / "rest" / "scores.json").read_text())
    assert rest["scores"] == content["scores"] and rest["rows"] == content["rows"]


def test_a_broken_row_of_the_list_is_reported_or_left_out(
    folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "pairs.csv"
    table.write_text("truth,raw\np0.png,p0.png\np1.png\np2.png,p2.png\n")
    more = ["--pairs", str(table)]
    assert evaluate(folders, tmp_path / "out", *more) == 1
    assert f"{table}:3: found ['p1.png']" in capsys.readouterr().err
    assert evaluate(folders, tmp_path / "out", *more, "--on_bad", "skip") == 0
    content = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert [entry["file"] for entry in content["skipped"]] == [f"{table}:3"]
    assert content["num_pairs"] == 2


def test_the_truth_itself_is_a_row(folders: Path, tmp_path: Path) -> None:
    assert evaluate(folders, tmp_path / "out") == 0
    content = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert content["rows"]["ground truth"]["psnr"] == "inf"
    assert content["rows"]["ground truth"]["l1"] == 0
    low, high = content["intervals"]["ssim"]
    assert low <= content["scores"]["ssim"] <= high
    assert evaluate(folders, tmp_path / "bare", "--reference_rows", "false") == 0
    assert json.loads((tmp_path / "bare" / "scores.json").read_text())["rows"] == {}


def test_two_processes_score_and_skip_the_same(folders: Path, tmp_path: Path) -> None:
    """Enough pairs for both; the second process's pieces hold a bad picture too."""
    pictures = damaged(folders, tmp_path / "copy")
    for number in range(20):
        for kind in ("truth", "generated"):
            shutil.copy(folders / kind / f"p{number % 3}.png", pictures / kind / f"q{number}.png")
    words = ["--generated", str(pictures / "generated"), "--truth", str(pictures / "truth")]
    words += ["--protocol", "strict", "--size", f"{SIZE[0]}x{SIZE[1]}", "--on_bad", "skip"]
    one_by_one = ["--out", str(tmp_path / "one"), "--cache", str(tmp_path / "other")]
    assert main(["evaluate", "images", *words, *one_by_one]) == 0
    code = (
        "from jcdm.evaluation.protocols import measuring\n"
        "measuring.CHUNK = 4\n"
        "from jcdm.processes import process_state\n"
        "assert process_state().num_processes == 2\n"
        "import sys; from jcdm.cli.main import main; sys.exit(main(sys.argv[1:]))\n"
    )
    (tmp_path / "launched.py").write_text(code)
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu"]
    launch += ["--num_processes", "2", "--main_process_port", "0", str(tmp_path / "launched.py")]
    command = ["evaluate", "images", *words, "--out", str(tmp_path / "two")]
    command += ["--cache", str(tmp_path / "cache")]
    root = str(Path(__file__).resolve().parents[2])
    search = f"{root}{os.pathsep}{os.environ['PYTHONPATH']}"
    environment = {**os.environ, "ACCELERATE_USE_CPU": "true", "PYTHONPATH": search}
    done = subprocess.run([*launch, *command], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("pairs by protocol strict") == 1
    one, two = (json.loads((tmp_path / n / "scores.json").read_text()) for n in ("one", "two"))
    for key in ("scores", "rows", "skipped", "lists", "intervals"):
        assert one[key] == two[key], key
    assert len(one["skipped"]) == 3
