"""`poses video` refuses in one line what it cannot do."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jcdm.cli.main import main
from jcdm.pipelines.video import write_mp4


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return write_mp4([Image.fromarray(np.zeros((32, 32, 3), np.uint8))] * 3, tmp_path / "f.mp4")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ([], "poses video needs a detector"),
        (["--detector", "dwpose"], "needs --yolox FILE"),
        (["--fps", "0"], "fps is 0.0; expected"),
        (["--fps", "fast"], "fps"),
        (["--start", "2", "--end", "1"], "end is 1.0; expected seconds after start=2.0"),
        (["--max_frames", "0"], "max_frames is 0"),
        (["--max_gap", "-1"], "max_gap is -1"),
        (["--long_gaps", "guess"], "long_gaps"),
        (["--smoothing", "-1"], "smoothing is -1.0"),
        (["--min_confidence", "2"], "min_confidence is 2"),
        (["--detector", "none"], "detector"),
    ],
)
def test_wrong_options_end_in_one_line(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], message: str
) -> None:
    out = tmp_path / "out.json"
    assert main(["poses", "video", "--film", str(film), "--out", str(out), *more]) == 1
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1 and "Traceback" not in said
    assert not out.exists()


def test_help_lists_the_options(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["poses", "video", "--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert all(f"--{name}" in said for name in ("film", "fps", "overlay", "detector", "people"))
