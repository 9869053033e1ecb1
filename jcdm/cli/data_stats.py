"""`data stats`: count an index, as JSON and as a picture."""

import json
from collections.abc import Sequence
from pathlib import Path

from jcdm.cli.data import PROG
from jcdm.cli.options import command_parser, parse_command


def main(argv: Sequence[str]) -> None:
    """Run `data stats ...`."""
    parser = command_parser(f"{PROG} stats", "Print the counts of an index as JSON.")
    parser.add_argument("--index", type=Path, required=True, help="index.json")
    parser.add_argument("--picture", type=Path, default=None, help="also draw them into this PNG")
    options = parse_command(parser, argv)
    from jcdm.data.stats import index_stats

    stats = index_stats(options.index)
    print(json.dumps(stats, indent=2))
    if options.picture is not None:
        from jcdm.data.stats_picture import draw_stats

        draw_stats(stats, options.picture)
