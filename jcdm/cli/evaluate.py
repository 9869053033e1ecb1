"""`evaluate images|pipeline|table|report`: score pictures, or a task; the paper table, a report."""

import importlib
from collections.abc import Sequence

from jcdm.cli.options import take_word

PROG = "python -m jcdm evaluate"
WORDS = ("images", "pipeline", "table", "report")


def main(argv: Sequence[str]) -> None:
    """Run `evaluate WORD ...`."""
    word, rest = take_word(argv, WORDS, PROG)
    importlib.import_module(f"jcdm.cli.evaluate_{word}").main(rest)
