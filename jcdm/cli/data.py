"""`data synth|check|stats`: draw people; list the problems of an index; count it."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from jsonargparse import ArgumentError, ArgumentParser, Namespace

from jcdm.cli.options import one_line, take_word
from jcdm.errors import ConfigError, DataError

PROG = "python -m jcdm data"
SHEET = "sheet.png"
PEOPLE_ON_SHEET = 8
VIEWS_ON_SHEET = 8


def main(argv: Sequence[str]) -> None:
    """Run `data WORD ...`."""
    actions: dict[str, Callable[[Sequence[str]], None]] = {
        "synth": _synth,
        "check": _check,
        "stats": _stats,
    }
    word, rest = take_word(argv, tuple(actions), PROG)
    actions[word](rest)


def _synth(argv: Sequence[str]) -> None:
    parser = _parser("synth", "Draw people and write them as a DeepFashion folder with an index.")
    parser.add_argument("--out", type=Path, required=True, help="new folder")
    parser.add_argument("--identities", type=int, required=True, help="number of people")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--height", type=int, default=256, help="pixels")
    parser.add_argument("--width", type=int, default=176, help="pixels")
    parser.add_argument("--views", type=int, default=8, help="photographs a person")
    parser.add_argument(
        "--test_fraction", type=float, default=0.1, help="share of people for tests"
    )
    parser.add_argument("--sequences", type=int, default=0, help="number of moving sequences")
    parser.add_argument("--frames", type=int, default=16, help="frames a sequence")
    parser.add_argument("--workers", type=int, default=1, help="processes that draw")
    options = _parse(parser, argv)
    from jcdm.data.synthetic import contact_sheet, write_dataset

    index = write_dataset(
        options.out,
        num_identities=options.identities,
        seed=options.seed,
        size=(options.height, options.width),
        num_views=options.views,
        test_fraction=options.test_fraction,
        num_sequences=options.sequences,
        num_frames=options.frames,
        num_workers=options.workers,
    )
    identities = range(min(options.identities, PEOPLE_ON_SHEET))
    sheet = contact_sheet(
        seed=options.seed, identities=identities, num_views=min(options.views, VIEWS_ON_SHEET)
    )
    sheet.save(options.out / SHEET)
    print(f"{options.identities} people drawn: {index}; the first ones to look at: {SHEET}")


def _check(argv: Sequence[str]) -> None:
    from jcdm.data.checks import check_index

    index = _index_option(
        "check", "List every problem of an index; exit 1 when there is one.", argv
    )
    problems = check_index(index)
    for problem in problems:
        print(problem)
    if problems:
        raise DataError(
            f"{index}: {len(problems)} problem{'s' if len(problems) > 1 else ''}, listed above."
        )
    print(f"{index}: no problem found.")


def _stats(argv: Sequence[str]) -> None:
    from jcdm.data.checks import index_stats

    index = _index_option("stats", "Print the counts of an index as JSON.", argv)
    print(json.dumps(index_stats(index), indent=2))


def _index_option(word: str, purpose: str, argv: Sequence[str]) -> Path:
    parser = _parser(word, purpose)
    parser.add_argument("--index", type=Path, required=True, help="index.json")
    return _parse(parser, argv).index


def _parser(word: str, purpose: str) -> ArgumentParser:
    return ArgumentParser(
        prog=f"{PROG} {word}", description=purpose, exit_on_error=False, allow_abbrev=False
    )


def _parse(parser: ArgumentParser, argv: Sequence[str]) -> Namespace:
    try:
        return parser.parse_args(list(argv))
    except ArgumentError as error:
        raise ConfigError(f"{one_line(str(error))} See: {parser.prog} --help") from None
