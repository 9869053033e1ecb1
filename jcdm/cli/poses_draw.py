"""`poses draw`: JSON of poses -> pose maps."""

from collections.abc import Sequence
from pathlib import Path

from jcdm.cli.options import command_parser, parse_command, read_size
from jcdm.cli.poses import PROG


def main(argv: Sequence[str]) -> None:
    """Run `poses draw ...`."""
    parser = command_parser(f"{PROG} draw", "Draw pose maps of JSON files: one PNG a pose.")
    parser.add_argument("--poses", type=Path, required=True, help="JSON file, or a folder of them")
    parser.add_argument("--out", type=Path, required=True, help="folder of the pictures")
    parser.add_argument("--size", type=str | None, default=None, help="such as 256x176")
    parser.add_argument("--details", type=bool, default=False, help="also draw hands and face")
    options = parse_command(parser, argv)
    size = None if options.size is None else read_size("--size", options.size)
    from jcdm.poses.drawing import draw_pose_files

    paths = draw_pose_files(options.poses, options.out, size=size, details=options.details)
    print(f"{len(paths)} pose maps drawn: {options.out}")
