"""`train prior|denoiser|motion`: one training stage."""

from collections.abc import Sequence

from jcdm.cli.options import read_config, take_word
from jcdm.config import Config

PROG = "python -m jcdm train"


def main(argv: Sequence[str]) -> None:
    """Run `train STAGE --config FILE [--dry_run] [--section.key=value ...]`."""
    kind, rest = take_word(argv, ("prior", "denoiser", "motion"), PROG)
    dry_run = "--dry_run" in rest
    options = [word for word in rest if word != "--dry_run"]
    config = read_config(Config, options, prog=f"{PROG} {kind}", keep_unset=dry_run)
    from jcdm.training.run import run_training

    plan = run_training(kind, config, dry_run=dry_run)
    if plan is not None:
        print(plan)
