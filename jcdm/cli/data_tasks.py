"""`data tasks`: write the test tasks of an index as JSON files."""

from collections.abc import Sequence
from pathlib import Path

from jcdm.cli.data import PROG
from jcdm.cli.options import command_parser, parse_command
from jcdm.errors import ConfigError


def main(argv: Sequence[str]) -> None:
    """Run `data tasks ...`."""
    parser = command_parser(
        f"{PROG} tasks", "Write the test tasks of an index; they can be published."
    )
    add = parser.add_argument
    add("--index", type=Path, required=True, help="index.json")
    add("--out", type=Path, required=True, help="folder to write into")
    add("--pairs", type=str, default=None, help="pair table, or look-alike; default: as imported")
    add("--max_pairs", type=int, default=None, help="of a look-alike list; default: all")
    add("--split", type=str, default="test", help="split to make tasks of")
    add(
        "--on_bad",
        "--on-bad",
        choices=("error", "skip"),
        default="error",
        help="a bad row ends the command, or is left out and listed",
    )
    options = parse_command(parser, argv)
    if options.max_pairs is not None and options.max_pairs < 1:
        raise ConfigError(f"--max_pairs: found {options.max_pairs}, expected 1 or more.")
    from jcdm.data.tasks import LOOK_ALIKE, write_tasks

    look_alike = options.pairs == LOOK_ALIKE
    files, ledger = write_tasks(
        options.index,
        options.out,
        pairs=Path(options.pairs) if options.pairs and not look_alike else None,
        look_alike=look_alike,
        max_pairs=options.max_pairs,
        split=options.split,
        on_bad=options.on_bad,
    )
    for where, reason in ledger.skipped:
        print(f"skipped {where}: {reason}")
    for task in files:
        print(f"{task.file}: {task.num_items:,} items, {task.kind}")
