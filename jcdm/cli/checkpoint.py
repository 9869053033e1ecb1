"""`checkpoint list|verify|prune DIR`: look after the checkpoints of a run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jsonargparse.typing import NonNegativeInt, PositiveInt

from jcdm.cli.options import command_parser, parse_command, take_word
from jcdm.errors import CheckpointError
from jcdm.training.checkpoint_care import RunCheckpoints, prune_checkpoints, read_checkpoints

PROG = "python -m jcdm checkpoint"


def main(argv: Sequence[str]) -> None:
    """Run `checkpoint list|verify|prune DIR ...`."""
    word, rest = take_word(argv, tuple(_COMMANDS), PROG)
    parser = command_parser(f"{PROG} {word}", _PURPOSES[word])
    add = parser.add_argument
    add("folder", type=Path, metavar="DIR", help="a run, its checkpoints/, or one of them")
    if word == "prune":
        add("--keep", type=PositiveInt, default=3, help="how many of the last whole ones stay")
        add("--keep_best", type=NonNegativeInt, default=1, help="and of the lowest validation loss")
        add("--damaged", type=bool, default=False, help="remove damaged ones too")
        add("--dry_run", action="store_true", help="only say what would be removed")
    options = parse_command(parser, rest)
    _COMMANDS[word](read_checkpoints(options.folder), options)


def _list(read: RunCheckpoints, options: Any) -> None:
    print(f"{'step':>10} {'MB':>10} {'saved':25} {'validation loss':>15}")
    for c in read.found:
        loss = "-" if c.validation_loss is None else f"{c.validation_loss:.6f}"
        notes = [name for name, one in (("best", read.best), ("resume", read.newest)) if one is c]
        state = c.damage or ", ".join(["whole", *notes])
        print(f"{c.step:10} {c.num_bytes / 1e6:10.1f} {c.saved or '-':25} {loss:>15}  {state}")


def _verify(read: RunCheckpoints, options: Any) -> None:
    for line in read.damages:
        print(line)
    count = len(read.found) + (read.final is not None)
    if read.damages:
        raise CheckpointError(
            f"{len(read.damages)} of {count} folders in {options.folder} damaged. Take another "
            "one, or remove them: python -m jcdm checkpoint prune DIR --damaged=true"
        )
    print(f"{count} folders in {options.folder} are whole")


def _prune(read: RunCheckpoints, options: Any) -> None:
    doomed = prune_checkpoints(
        read,
        keep_last=options.keep,
        keep_best=options.keep_best,
        damaged=options.damaged,
        dry_run=options.dry_run,
    )
    for line in () if options.damaged else (c.damage for c in read.found if c.damage):
        print(f"stays, for --damaged=true was not given: {line}")
    for checkpoint in doomed:
        print(f"{'would remove' if options.dry_run else 'removed'} {checkpoint.folder}")
    size = sum(checkpoint.num_bytes for checkpoint in doomed) / 1e6
    print(f"{len(doomed)} of {len(read.found)} checkpoints, {size:.1f} MB")


_COMMANDS = {"list": _list, "verify": _verify, "prune": _prune}
_PURPOSES = {
    "list": "List checkpoints: step, size, when saved, validation loss, whole or what is damaged.",
    "verify": "Read every byte of checkpoints and of final/; exit 1 when one is damaged.",
    "prune": "Remove whole checkpoints that are neither among the last nor the best.",
}
