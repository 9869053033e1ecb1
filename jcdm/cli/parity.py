"""`parity`: compare every model part and metric with numbers recorded from published code."""

from collections.abc import Sequence
from pathlib import Path

from jsonargparse import Namespace

from jcdm.cli.options import command_parser, parse_command
from jcdm.errors import ConfigError, JCDMError

PROG = "python -m jcdm parity"


def main(argv: Sequence[str]) -> None:
    """Run `parity [--fixtures DIR] [--metric_fixtures DIR]`.

    A row a quantity, then `N passed, M failed, K missing` over both folders.
    """
    options = _parse(argv)
    from jcdm.compat.parity.run import Report, run_parity

    reports = []
    if options.fixtures is not None:
        reports.append(run_parity(options.fixtures))
    if options.metric_fixtures is not None:
        from jcdm.evaluation.parity.run import run_metric_parity

        reports.append(run_metric_parity(options.metric_fixtures))
    report = Report(
        rows=tuple(row for part in reports for row in part.rows),
        missing={name: reason for part in reports for name, reason in part.missing.items()},
    )
    print(report, flush=True)
    if report.num_failed or report.missing:
        raise JCDMError(
            f"{report.num_failed} comparisons failed and {len(report.missing)} are missing, listed "
            "above; expected none. Correct the code, or the folder of recorded numbers."
        )


def _parse(argv: Sequence[str]) -> Namespace:
    parser = command_parser(
        PROG,
        "Compare every model part and every metric with numbers recorded from published code; "
        "exit 1 unless all of them are met.",
    )
    parser.add_argument("--fixtures", type=Path, help="folder with MANIFEST.json: model parts")
    parser.add_argument(
        "--metric_fixtures", type=Path, help="folder with expected.json: evaluation protocols"
    )
    options = parse_command(parser, argv)
    if options.fixtures is None and options.metric_fixtures is None:
        raise ConfigError(
            f"parity needs --fixtures, --metric_fixtures or both, found neither. See: {PROG} --help"
        )
    return options
