"""`parity`: compare every model part with numbers recorded from the published code."""

from collections.abc import Sequence
from pathlib import Path

from jsonargparse import ArgumentError, ArgumentParser, Namespace

from jcdm.cli.options import one_line
from jcdm.errors import ConfigError, JCDMError

PROG = "python -m jcdm parity"


def main(argv: Sequence[str]) -> None:
    """Run `parity --fixtures DIR`: a row a quantity, then `N passed, M failed, K missing`."""
    options = _parse(argv)
    from jcdm.compat.parity.run import run_parity

    report = run_parity(options.fixtures)
    print(report, flush=True)
    if report.num_failed or report.missing:
        raise JCDMError(
            f"{report.num_failed} comparisons failed and {len(report.missing)} are missing, listed "
            "above; expected none. Correct the code, or the folder of recorded numbers."
        )


def _parse(argv: Sequence[str]) -> Namespace:
    parser = ArgumentParser(
        prog=PROG,
        description="Compare every model part with numbers recorded from the published code; "
        "exit 1 unless all of them are met.",
        exit_on_error=False,
        allow_abbrev=False,
    )
    parser.add_argument("--fixtures", type=Path, required=True, help="folder with MANIFEST.json")
    try:
        return parser.parse_args(list(argv))
    except ArgumentError as error:
        raise ConfigError(f"{one_line(str(error))} See: {PROG} --help") from None
