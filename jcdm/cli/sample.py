"""`sample prior|images|sequence`: run a trained stage on unseen people and score it."""

import sys
from collections.abc import Sequence

from jcdm.cli import photographs
from jcdm.cli.main import run
from jcdm.cli.options import read_config, take_word
from jcdm.config import TestConfig

PROG = "python -m jcdm sample"


def main(argv: Sequence[str], default_config: str | None = None) -> None:
    """Run `sample STAGE --config FILE [--section.key=value ...]`, or paint own photographs."""
    kind, rest = take_word(argv, ("prior", "images", "sequence"), PROG)
    if kind == "images" and any(word.partition("=")[0] == "--references" for word in rest):
        photographs.main(rest)
        return
    config = read_config(TestConfig, rest, prog=f"{PROG} {kind}", default_config=default_config)
    from jcdm.evaluation.stage_tests import TESTS

    TESTS[kind](config)


def launch(kind: str, default_config: str) -> int:
    """Run one test from a top-level script: options come from sys.argv; returns the exit code."""
    return run(lambda: main([kind, *sys.argv[1:]], default_config))
