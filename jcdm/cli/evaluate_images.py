"""`evaluate images`: score a folder of pictures by a named protocol."""

from collections.abc import Sequence
from pathlib import Path

from jcdm.cli.options import command_parser, parse_command
from jcdm.cli.scoring_options import add_scoring_options, refuse_existing, scoring_plan

PROG = "python -m jcdm evaluate images"


def main(argv: Sequence[str]) -> None:
    """Score pictures on disk and write the new folder --out."""
    parser = command_parser(PROG, "Score a folder of pictures by a named protocol.")
    parser.add_argument("--generated", type=Path, required=True, help="folder of pictures")
    parser.add_argument("--truth", type=Path, required=True, help="folder of true pictures")
    parser.add_argument("--pairs", type=Path | None, default=None, help="CSV: truth, generated")
    parser.add_argument(
        "--poses", type=Path | None, default=None, help="joints of the truth: folder, or an index"
    )
    parser.add_argument("--out", type=Path, required=True, help="new folder")
    add_scoring_options(parser, needs_protocol=True)
    options = parse_command(parser, argv)
    refuse_existing(options.out)
    from jcdm.cli.score_printing import print_scores
    from jcdm.evaluation.scoring_plan import score_folders

    plan = scoring_plan(options, options.poses)
    found = score_folders(plan, options.generated, options.truth, options.pairs, options.out)
    if found is not None:
        print_scores(found, options.out, options.protocol)
