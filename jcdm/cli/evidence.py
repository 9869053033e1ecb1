"""`evidence run|list|document`: rows of docs/evidence.md, which are finished, and its tables."""

import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse.typing import NonNegativeInt, PositiveInt

from jcdm.cli.options import command_parser, parse_command, take_word
from jcdm.errors import ConfigError
from jcdm.logs import console_messages

if TYPE_CHECKING:
    from jcdm.evidence.plan import EvidencePlan

PROG = "python -m jcdm evidence"
logger = logging.getLogger(__name__)


def main(argv: Sequence[str]) -> None:
    """Run `evidence run|list|document ...`."""
    word, rest = take_word(argv, tuple(_COMMANDS), PROG)
    parser = command_parser(f"{PROG} {word}", _PURPOSES[word])
    parser.add_argument(
        "--plan", type=Path, default=Path("configs/evidence/rows.yaml"), help="trainings and rows"
    )
    parser.add_argument(
        "--results", type=Path, default=Path("docs/evidence"), help="folder of finished rows"
    )
    if word == "run":
        parser.add_argument(
            "--row", type=str, default="all", help="a row's name, several with commas, or all"
        )
        parser.add_argument(
            "--seeds",
            type=list[NonNegativeInt] | None,
            default=None,
            help="[1,2]: of trainings, of those in the plan these alone; default: all of them",
        )
        parser.add_argument("--out", type=Path, default=Path("outputs/evidence"), help="runs")
        parser.add_argument(
            "--weights",
            type=Path,
            default=Path("assets/tiny"),
            help="frozen parts, and what rows without a training try",
        )
        parser.add_argument("--again", type=bool, default=False, help="compute finished rows again")
        parser.add_argument("--jobs", type=PositiveInt, default=1, help="how many at once")
        parser.add_argument(
            "--loaders", type=NonNegativeInt, default=0, help="processes that feed each training"
        )
        parser.add_argument("--people_seed", type=int | None, default=None, help="try other people")
    if word == "document":
        parser.add_argument("--write", type=Path, default=Path("docs/evidence.md"), help="file")
        parser.add_argument(
            "--others",
            type=Path | None,
            default=None,
            help="rows of other people, to compare; default: other_people in the folder of results",
        )
    _COMMANDS[word](parse_command(parser, rest))


def _run(options: Any) -> None:
    from jcdm.evidence.parallel import run_rows
    from jcdm.evidence.plan import read_plan, with_people
    from jcdm.evidence.run_row import check_row
    from jcdm.evidence.workbench import Bench

    plan = with_people(read_plan(options.plan), options.people_seed)
    names = list(plan.rows) if options.row == "all" else options.row.split(",")
    bench = Bench(
        plan=plan,
        out=options.out,
        results=options.results,
        weights=options.weights,
        num_workers=os.cpu_count() or 1,
        num_loaders=int(options.loaders),
    )
    with console_messages(is_main=True):
        todo = {name: _seeds_of(plan, name, options) for name in names}
        for name in (name for name, seeds in todo.items() if not seeds):
            logger.info("%s: nothing left to do", name)
        bench = replace(bench, asked=todo)
        for name, seed in ((name, seed) for name, seeds in todo.items() for seed in seeds):
            check_row(bench, name, seed)
        run_rows(bench, todo, int(options.jobs))


def _seeds_of(plan: "EvidencePlan", name: str, options: Any) -> list[int | None]:
    """Choose the seeds of a row that are to be computed. Errors: ConfigError, DataError."""
    from jcdm.evidence.row_files import seeds_of, seeds_to_do

    known = seeds_of(plan.row(name))
    file = options.results / f"{name}.json"
    left = seeds_to_do(file, plan, name)
    todo = known if options.again else left
    if options.seeds is None or known == (None,):
        return list(todo)
    if unknown := sorted(set(options.seeds) - set(known)):
        raise ConfigError(f"--seeds has {unknown}; the row {name} has {list(known)}.")
    return [seed for seed in todo if seed in options.seeds]


def _list(options: Any) -> None:
    from jcdm.evidence.plan import read_plan
    from jcdm.evidence.row_files import missing_seeds, read_row

    for name, row in read_plan(options.plan).rows.items():
        file, state = options.results / f"{name}.json", "to do"
        if file.is_file():
            state = "in part" if missing_seeds(read_row(file), row) else "finished"
        print(f"{name:20} {state:10} {row.about}")


def _document(options: Any) -> None:
    from jcdm.evidence.document import write_tables
    from jcdm.evidence.plan import read_plan

    plan, usual = read_plan(options.plan), options.results / "other_people"
    others = options.others or (usual if usual.is_dir() else None)
    print(write_tables(plan, options.results, options.write, others=others))


_COMMANDS = {"run": _run, "list": _list, "document": _document}
_PURPOSES = {
    "run": "Compute rows that are not finished yet; trainings go on where they were cut.",
    "list": "Say which rows are finished.",
    "document": "Write the tables of finished rows into a Markdown file, between their marks.",
}
