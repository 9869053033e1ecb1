"""Where a run writes what happens: console and log.txt for people, metrics.jsonl for programs."""

import json
import logging
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tqdm import tqdm

from jcdm.errors import DataError, JCDMError
from jcdm.reading import UnreadableError, parse_json

ROOT = "jcdm"
SECONDS_BETWEEN_LINES = 10.0


class _ConsoleHandler(logging.Handler):
    """Writes lines to stderr without tearing a progress bar apart."""

    def emit(self, record: logging.LogRecord) -> None:
        tqdm.write(self.format(record), file=sys.stderr)


class _FileHandler(logging.Handler):
    """Appends lines to a file; a disk that refuses them ends the run."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def emit(self, record: logging.LogRecord) -> None:
        _append_line(self.path, self.format(record))


def setup_logging(log_file: Path | None, *, is_main: bool = True) -> None:
    """Send the package's messages to stderr and to `log_file`; other ranks: warnings to stderr.

    Calling it again replaces what an earlier call set up.
    """
    logger = logging.getLogger(ROOT)
    close_logging()
    logger.setLevel(logging.INFO if is_main else logging.WARNING)
    logger.propagate = False
    handlers: list[logging.Handler] = [_ConsoleHandler()]
    if is_main and log_file is not None:
        handlers.append(_FileHandler(log_file))
    for handler in handlers:
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
        logger.addHandler(handler)


def close_logging() -> None:
    """Detach what `setup_logging` attached, so that messages go where Python sends them."""
    logger = logging.getLogger(ROOT)
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    logger.propagate = True
    logger.setLevel(logging.NOTSET)


@contextmanager
def console_messages(*, is_main: bool = True) -> Iterator[None]:
    """Show the package's messages on stderr for as long as a command works; one at a time."""
    setup_logging(None, is_main=is_main)
    try:
        yield
    finally:
        close_logging()


class PacedProgress:
    """Logs `DONE of ALL WHAT`: at the first call, then every ten seconds, and when all is done."""

    def __init__(self, logger: logging.Logger, what: str) -> None:
        self._logger, self._what = logger, what
        self._due, self._last = 0.0, -1

    def __call__(self, done: int, count: int) -> None:
        """Tell how many of how many are done."""
        now = time.monotonic()
        if done != self._last and (now >= self._due or done == count):
            self._logger.info("%d of %d %s", done, count, self._what)
            self._due, self._last = now + SECONDS_BETWEEN_LINES, done


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Keep loading bars and notes of diffusers and transformers out of what a command prints."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    libraries: tuple[Any, ...] = (diffusers_logging, transformers_logging)
    levels = [library.get_verbosity() for library in libraries]
    for library in libraries:
        library.set_verbosity_error()
        library.disable_progress_bar()
    try:
        yield
    finally:
        for library, level in zip(libraries, levels, strict=True):
            library.set_verbosity(level)
            library.enable_progress_bar()


class MetricsLog:
    """A file such as metrics.jsonl: one JSON object a line, in the order of the steps.

    A resumed run drops the rows of steps that it will do again.
    """

    def __init__(self, path: Path, *, start_step: int = 0) -> None:
        self.path = path
        rows = read_metrics(path) if start_step > 0 else []  # row 0 is what a run starts from
        kept = [row for row in rows if row["step"] <= start_step]
        partial = path.with_name(f".{path.name}.partial")
        partial.write_text("".join(f"{_encode(row)}\n" for row in kept), encoding="utf-8")
        os.replace(partial, path)

    def write(self, row: Mapping[str, Any]) -> None:
        """Append one row, which has a key `step`. Errors: JCDMError when the disk refuses."""
        _append_line(self.path, _encode(row))


def _append_line(path: Path, line: str) -> None:
    """Append a line and hand it to the operating system at once; no file stays open.

    Errors: JCDMError when the disk refuses.
    """
    with disk_errors(path), path.open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn what a full or read-only disk raises into one JCDMError that names what is written."""
    try:
        yield
    except OSError as error:
        raise JCDMError(
            f"cannot write {path}: {error.strerror or error}. Free disk space or check its "
            "permissions; a run then continues with the same command."
        ) from error


def _encode(row: Mapping[str, Any]) -> str:
    return json.dumps(dict(row))


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Read the rows of a metrics file; a missing one has none.

    A last line cut off by a crash is left out. Errors: DataError for any other broken line.
    """
    if not path.is_file():
        return []
    lines = path.read_bytes().splitlines()
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            row = parse_json(line)
            if not isinstance(row, dict) or type(row.get("step")) not in (int, float):
                raise UnreadableError("no object with a step")
            rows.append(row)
        except UnreadableError:
            if number < len(lines):
                raise DataError(
                    f"{path}: line {number} is no JSON object with a step; expected one a line. "
                    "Repair or remove the file."
                ) from None
    return rows
