"""Console and file logging, and the line-by-line record of a run's numbers."""

import json
import logging
import sys
from collections.abc import Mapping
from pathlib import Path


def setup_logging(*, is_main: bool = True, file: Path | None = None) -> None:
    """Log to stderr, and to `file` when given; processes other than the main one only warn."""
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    if file is not None and is_main:
        handlers.append(logging.FileHandler(file, encoding="utf-8"))
    logging.basicConfig(
        level=logging.INFO if is_main else logging.WARNING,
        format="%(asctime)s %(message)s",
        datefmt="%H:%M:%S",
        handlers=handlers,
        force=True,
    )
    for noisy in ("httpx", "diffusers", "transformers", "accelerate", "matplotlib", "PIL"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


class MetricsFile:
    """`metrics.jsonl`: one JSON object a line, each with the step it belongs to."""

    def __init__(self, path: Path, *, start_step: int = 0) -> None:
        """Open for appending; lines past `start_step`, left by a run that was cut, are dropped."""
        self.path = path
        kept = [row for row in read_metrics(path) if int(row["step"]) <= start_step]
        path.write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Append one line; `step` counts optimizer steps."""
        row = {"step": step, **values}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


def read_metrics(path: Path) -> list[dict[str, float]]:
    """Read all whole lines of a metrics file; a line that a crash cut off is left out."""
    if not path.is_file():
        return []
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return rows
