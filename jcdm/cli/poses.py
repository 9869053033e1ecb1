"""`poses extract|draw|video|retarget`: joints from photographs and films, drawn, fitted."""

import importlib
from collections.abc import Sequence

from jcdm.cli.options import take_word

PROG = "python -m jcdm poses"
_ACTIONS = {
    "extract": "poses_extract",
    "draw": "poses_draw",
    "video": "poses_video",
    "retarget": "poses_retarget",
}


def main(argv: Sequence[str]) -> None:
    """Run `poses WORD ...`."""
    word, rest = take_word(argv, tuple(_ACTIONS), PROG)
    importlib.import_module(f"jcdm.cli.{_ACTIONS[word]}").main(rest)
