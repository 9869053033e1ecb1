"""`reproduce MANIFEST`: the commands that repeat a run, and what differs today."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jcdm.cli.options import command_parser, parse_command
from jcdm.errors import ConfigError, JCDMError

if TYPE_CHECKING:
    from jcdm.reproduce.differences import Difference
    from jcdm.reproduce.record import RunRecord

PROG = "python -m jcdm reproduce"


def main(argv: Sequence[str]) -> None:
    """Run `reproduce MANIFEST [--write FILE] [--out DIR] [--strict=true]`."""
    parser = command_parser(PROG, "Print the commands that repeat a run, and what differs today.")
    add = parser.add_argument
    add("manifest", type=Path, help="manifest.json of a run or result, or the folder it lies in")
    add("--write", type=Path | None, default=None, help="write its configuration to this file")
    add("--out", type=Path | None, default=None, help="folder that the commands are to write")
    add("--strict", type=bool, default=False, help="exit 1 when something differs")
    options = parse_command(parser, argv)
    from jcdm.reproduce.commands import commands, config_beside, write_config
    from jcdm.reproduce.differences import compare
    from jcdm.reproduce.record import read_record
    from jcdm.reproduce.verdict import verdict

    record = read_record(options.manifest)
    file = None
    if options.write is not None:
        _refuse(record, options.write)
        write_config(record, options.write)
        file = options.write
    elif record.stage is not None:
        file = config_beside(record)
    lines = commands(record, file, options.out)
    differences = compare(record)
    _print(record, lines, differences, verdict(record, differences))
    if record.stage is not None and file is None:
        print("The command above is the one typed then; --write FILE keeps its configuration.")
    changed = sum(not difference.is_same for difference in differences)
    if options.strict and changed:
        raise JCDMError(f"{options.manifest}: {changed} differences, listed above.")


def _refuse(record: "RunRecord", file: Path) -> None:
    if record.stage is None:
        raise ConfigError(
            f"--write is for the manifest of a training; {record.file} is of another run. Leave it "
            "out: the command is the one that was typed."
        )
    if file.exists():
        raise ConfigError(f"--write {file} exists; choose a new file, or remove it first.")


def _print(
    record: "RunRecord", lines: Sequence[str], differences: Sequence["Difference"], words: str
) -> None:
    what = f"training of the {record.stage}" if record.stage else "result"
    seed = "not recorded" if record.seed is None else record.seed
    print(f"{record.file}: a {what}, seed {seed}. To repeat it, in the checkout:\n")
    for line in lines:
        print(f"    {line}")
    print("\nThen and now:")
    width = max((len(difference.name) for difference in differences), default=0)
    same = [difference.name for difference in differences if difference.is_same]
    for difference in differences:
        if not difference.is_same:
            print(f"  {difference.name:{width}}  {difference.then} -> {difference.now}")
    print(f"  the same: {', '.join(same) or 'nothing'}\n\nExpectation: {words}")
