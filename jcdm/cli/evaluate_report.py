"""`evaluate report`: one offline page about a scored folder."""

from collections.abc import Sequence
from pathlib import Path

from jcdm.cli.options import command_parser, parse_command

PROG = "python -m jcdm evaluate report"


def main(argv: Sequence[str]) -> None:
    """Run `evaluate report --results DIR --out DIR ...` and print the page's place."""
    parser = command_parser(PROG, "Write one page, without network, about a scored folder.")
    parser.add_argument("--results", type=Path, required=True, help="scored folder")
    parser.add_argument("--out", type=Path, required=True, help="folder of the report")
    parser.add_argument("--task", type=Path | None, default=None, help="file of `data tasks`")
    parser.add_argument("--index", type=Path | None, default=None, help="index.json of the task")
    parser.add_argument("--benchmark", type=str | None, default=None, help="published rows")
    parser.add_argument("--generated", type=Path | None, default=None, help="default: as scored")
    parser.add_argument("--truth", type=Path | None, default=None, help="default: as scored")
    options = parse_command(parser, argv)
    from jcdm.evaluation.score_report import write_score_report

    page = write_score_report(
        options.out,
        options.results,
        generated=options.generated,
        truth=options.truth,
        task=options.task,
        index=options.index,
        benchmark=options.benchmark,
    )
    print(f"report: {page.resolve()}")
