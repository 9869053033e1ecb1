"""`data check`: list the problems of an index, exit 1 when there is one."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jcdm.cli.data import PROG
from jcdm.cli.options import command_parser, parse_command
from jcdm.errors import DataError

if TYPE_CHECKING:
    from jcdm.data.checks import Checked
    from jcdm.data.protocol import Protocol


def main(argv: Sequence[str]) -> None:
    """Run `data check ...`."""
    parser = command_parser(
        f"{PROG} check", "List every problem of an index; exit 1 when there is one."
    )
    parser.add_argument("--index", type=Path, required=True, help="index.json")
    parser.add_argument(
        "--protocol",
        choices=("deepfashion", "market"),
        default=None,
        help="hold counts against a published protocol's",
    )
    parser.add_argument(
        "--no_pictures",
        "--no-pictures",
        action="store_true",
        help="look at no picture, for an index imported so",
    )
    options = parse_command(parser, argv)
    from jcdm.data.checks import examine_index

    checked = examine_index(options.index, read_pictures=not options.no_pictures)
    _print_counts(checked, options.no_pictures)
    num = len(checked.problems)
    if options.protocol and checked.records:
        num += _compare(options.index, checked, options.protocol)
    for problem in checked.problems:
        print(problem.line)
    if num:
        raise DataError(f"{options.index}: {num} problem{'s' if num > 1 else ''}, listed above.")
    print(f"{options.index}: no problem found.")


def _print_counts(checked: "Checked", no_pictures: bool) -> None:
    """Print what there is, how often each kind of problem occurs, and notes."""
    from jcdm.data.checks import KINDS

    subjects = Counter(record.split for record in checked.records)
    for split, number in subjects.items():
        views = sum(len(r.views) for r in checked.records if r.split == split)
        print(f"{split}: {number:,} subjects, {views:,} views")
    found = Counter(problem.kind for problem in checked.problems)
    print(", ".join(f"{kind}: {found[kind]:,}" for kind in KINDS))
    if no_pictures:
        print("note: pictures were not read (--no_pictures)")
    for note in checked.notes:
        print(f"note: {note}")


def _compare(index: Path, checked: "Checked", protocol: "Protocol") -> int:
    """Print found and expected counts; returns how many differ."""
    from jcdm.data.protocol import compare, read_generator

    lines = compare(checked.records, read_generator(index), protocol)
    for line, is_equal in lines:
        print(line if is_equal else f"{line}  <- differs")
    return sum(not is_equal for _, is_equal in lines)
