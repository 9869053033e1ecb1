import logging
import sys

import pytest

from jcdm.training.progress import ProgressReport


def test_a_log_line_says_how_far_how_fast_and_how_long(caplog: pytest.LogCaptureFixture) -> None:
    report = ProgressReport(start_step=0, num_steps=10, num_samples=4)
    report.advance(5, 0.25)
    with caplog.at_level(logging.INFO, logger="jcdm"):
        report.write_line(5, {"loss": 0.25, "validation_loss": 0.5, "grad_norm": 1.0})
    report.close()
    for words in ("step 5/10", "loss 0.2500", "validation loss 0.5000", "samples/s", "00:00 left"):
        assert words in caplog.text
    assert "grad" not in caplog.text


@pytest.mark.parametrize("is_main", [True, False])
def test_the_bar_is_shown_on_the_main_rank_s_terminal_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], is_main: bool
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    report = ProgressReport(start_step=2, num_steps=4, num_samples=4, is_main=is_main)
    report.advance(3, 0.5)
    report.close()
    text = capsys.readouterr().err
    assert ("3/4" in text and "loss 0.5000" in text and "samples/s" in text) == is_main
