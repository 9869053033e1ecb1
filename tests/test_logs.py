import logging
from pathlib import Path

import pytest

from jcdm.errors import DataError
from jcdm.logs import MetricsLog, close_logging, read_metrics, setup_logging


def test_rows_come_back_in_order(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path / "metrics.jsonl")
    log.write({"step": 1, "loss": 0.5})
    log.write({"step": 2, "loss": 0.25})
    assert read_metrics(log.path) == [{"step": 1, "loss": 0.5}, {"step": 2, "loss": 0.25}]


def test_a_resume_drops_the_rows_of_later_steps(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    log = MetricsLog(path)
    for step in (1, 2, 3):
        log.write({"step": step})
    MetricsLog(path, start_step=2).write({"step": 3, "loss": 1.0})
    assert read_metrics(path) == [{"step": 1}, {"step": 2}, {"step": 3, "loss": 1.0}]


def test_a_line_cut_off_by_a_crash_is_left_out_and_another_broken_one_refused(
    tmp_path: Path,
) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n{"step": 2, "lo')
    assert read_metrics(path) == [{"step": 1}]
    path.write_text('{"step": 1\n{"step": 2}\n')
    with pytest.raises(DataError, match="line 1 is no JSON"):
        read_metrics(path)


def test_messages_reach_console_and_file_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "log.txt"
    try:
        setup_logging(file)
        setup_logging(file)
        logging.getLogger("jcdm.somewhere").info("hello %d", 5)
    finally:
        close_logging()
    assert file.read_text().count("hello 5") == 1
    assert capsys.readouterr().err.count("hello 5") == 1


def test_other_ranks_say_warnings_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        setup_logging(tmp_path / "log.txt", is_main=False)
        logging.getLogger("jcdm.somewhere").info("quiet")
        logging.getLogger("jcdm.somewhere").warning("loud")
    finally:
        close_logging()
    assert not (tmp_path / "log.txt").exists()
    text = capsys.readouterr().err
    assert "loud" in text and "quiet" not in text


def test_close_logging_gives_messages_back_to_python(caplog: pytest.LogCaptureFixture) -> None:
    setup_logging(None)
    close_logging()
    with caplog.at_level(logging.INFO):
        logging.getLogger("jcdm.somewhere").info("seen")
    assert "seen" in caplog.text
