"""`report`: join training runs and tests into one page."""

from collections.abc import Sequence
from pathlib import Path

from jsonargparse import ArgumentError, ArgumentParser

from jcdm.cli.options import one_line
from jcdm.errors import ConfigError

PROG = "python -m jcdm report"


def main(argv: Sequence[str]) -> None:
    """Run `report --out DIR --runs DIR ... --tests DIR ...` and print the scores."""
    parser = ArgumentParser(
        prog=PROG,
        description="Join training runs (their loss curves) and tests (their reports) in one page.",
        exit_on_error=False,
        allow_abbrev=False,
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the new report")
    parser.add_argument("--title", type=str, default="JCDM report")
    parser.add_argument("--runs", type=Path, nargs="*", default=[], help="training run folders")
    parser.add_argument("--tests", type=Path, nargs="*", default=[], help="folders of tests")
    try:
        options = parser.parse_args(list(argv))
    except ArgumentError as error:
        raise ConfigError(f"{one_line(str(error))} See: {PROG} --help") from None
    from jcdm.evaluation.joined import join_reports

    page, table = join_reports(
        options.out, title=options.title, runs=options.runs, tests=options.tests
    )
    print(f"{table}\nreport: {page.resolve()}")
