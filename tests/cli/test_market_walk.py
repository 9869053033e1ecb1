"""Market-1501 from the lists to masked scores, as docs/deepfashion.md prints it, drawn people."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jcdm.cli.main import main
from jcdm.data.synthetic import render_view

REPOSITORY = Path(__file__).resolve().parents[2]
SIZE = (128, 64)


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people of three cameras each, one row of nobody, and their pairs."""
    root = tmp_path_factory.mktemp("market")
    (root / "bounding_box_test").mkdir()
    rows, pairs = ["name:keypoints_y:keypoints_x", "0000_c1s1_000001_00.jpg: [-1]: [-1]"], []
    rows[1] = f"0000_c1s1_000001_00.jpg: {[-1] * 18}: {[-1] * 18}"
    for identity in (7, 228):
        names = [f"{identity:04d}_c{camera}s1_00000{camera}_01.jpg" for camera in (1, 2, 3)]
        for view, name in enumerate(names):
            drawn = render_view(seed=1, identity=identity, view=view, size=SIZE)
            Image.fromarray(drawn.image).save(root / "bounding_box_test" / name, quality=95)
            points = np.floor(drawn.keypoints * SIZE[::-1]).astype(int)
            points[~drawn.keypoint_valid | (points < 0).any(1) | (points >= SIZE[::-1]).any(1)] = -1
            x, y = points.T.tolist()
            rows.append(f"{name}: {y}: {x}")
        pairs += [f"{names[0]},{names[1]}", f"{names[1]},{names[2]}"]
    (root / "market-annotation-test.csv").write_text("\n".join(rows) + "\n")
    (root / "market-pairs-test.csv").write_text("\n".join(["from,to", *pairs]) + "\n")
    return root


def test_from_the_lists_to_masked_scores(
    market: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index, tasks, out = tmp_path / "index.json", tmp_path / "tasks", tmp_path / "out"
    importing = ["data", "import", "--format", "market", "--root", str(market)]
    assert main([*importing, "--out", str(index)]) == 0
    assert "test: 2 subjects, 6 views" in capsys.readouterr().out
    assert main(["data", "tasks", "--index", str(index), "--out", str(tasks)]) == 0
    words = ["--pipeline", str(REPOSITORY / "assets" / "tiny"), "--num_steps", "1"]
    words += ["--task", str(tasks / "pair.json"), "--index", str(index), "--out", str(out)]
    words += ["--protocol", "strict", "--size", "128x64", "--benchmark", "market"]
    words += ["--cache", str(tmp_path / "cache"), "--scores", "ssim", "ssim_masked", "psnr_masked"]
    assert main(["evaluate", "pipeline", *words]) == 0
    content = json.loads((out / "scores_strict" / "scores.json").read_text())
    assert content["num_pairs"] == 4 and content["size"] == [128, 64]
    assert content["counts"]["ssim_masked"] == 4
    masked, plain = content["scores"]["ssim_masked"], content["scores"]["ssim"]
    assert masked > plain, "black surroundings agree"
    report = (out / "scores_strict" / "report" / "report.html").read_text()
    assert "Market-1501" in report and "mask-SSIM-51" in report
