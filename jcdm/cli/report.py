"""`report`: join training runs and tests into one page."""

from collections.abc import Sequence
from pathlib import Path

from jcdm.cli.options import command_parser, parse_command

PROG = "python -m jcdm report"


def main(argv: Sequence[str]) -> None:
    """Run `report --out DIR --runs DIR ... --tests DIR ...` and print the scores."""
    parser = command_parser(
        PROG, "Join training runs (their loss curves) and tests (their reports) in one page."
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the new report")
    parser.add_argument("--title", type=str, default="JCDM report")
    parser.add_argument("--runs", type=Path, nargs="*", default=[], help="training run folders")
    parser.add_argument("--tests", type=Path, nargs="*", default=[], help="folders of tests")
    options = parse_command(parser, argv)
    from jcdm.evaluation.joined import join_reports

    page, table = join_reports(
        options.out, title=options.title, runs=options.runs, tests=options.tests
    )
    print(f"{table}\nreport: {page.resolve()}")
