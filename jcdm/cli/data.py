"""`data synth|import|check|stats|tasks`: make an index, look at it, plan its tests."""

import importlib
from collections.abc import Sequence

from jcdm.cli.options import take_word

PROG = "python -m jcdm data"
_ACTIONS = {
    "synth": "data_synth",
    "import": "data_import",
    "check": "data_check",
    "stats": "data_stats",
    "tasks": "data_tasks",
}


def main(argv: Sequence[str]) -> None:
    """Run `data WORD ...`."""
    word, rest = take_word(argv, tuple(_ACTIONS), PROG)
    importlib.import_module(f"jcdm.cli.{_ACTIONS[word]}").main(rest)
