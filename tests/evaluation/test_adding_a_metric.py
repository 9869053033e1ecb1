import re
from pathlib import Path

import numpy as np
import pytest

from jcdm.evaluation import metrics
from jcdm.evaluation.report import Section, Table, write_report

PAGE = Path(__file__).resolve().parents[2] / "docs" / "adding-a-metric.md"


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test add scores without leaving them to the others."""
    monkeypatch.setattr(metrics, "DEFINITIONS", dict(metrics.DEFINITIONS))
    monkeypatch.setattr(metrics, "PICTURE_METRICS", dict(metrics.PICTURE_METRICS))


@pytest.mark.usefixtures("registry")
def test_the_pages_example_becomes_a_column(tmp_path: Path) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    exec(compile(example, str(PAGE), "exec"), {})
    ours, truth = np.zeros((2, 1, 2, 12, 12, 3), np.uint8)
    ours[0, 0, 5, 5, 1], ours[0, 1, 0, 0, 0] = 51, 255
    tally = metrics.ScoreTally()
    tally.add_all(metrics.measure_pictures(ours, truth, np.array([[True, False]])))
    assert tally.scores().values["worst pixel"] == (pytest.approx(0.2), 1)
    table = Table(title="Scores", rows={"tried": tally.scores()})
    section = Section(title="Test", intro="", weights="none", tables=(table,))
    page = write_report(tmp_path, title="T", intro="", sections=[section], manifest={})
    assert "worst pixel ↓" in page.read_text(encoding="utf-8")
    assert "Largest absolute difference of a pixel" in page.read_text(encoding="utf-8")
