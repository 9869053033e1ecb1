"""`data synth`: draw people."""

from collections.abc import Sequence
from pathlib import Path

from jcdm.cli.data import PROG
from jcdm.cli.options import command_parser, parse_command

SHEET = "sheet.png"
PEOPLE_ON_SHEET = 8
VIEWS_ON_SHEET = 8


def main(argv: Sequence[str]) -> None:
    """Run `data synth ...`."""
    parser = command_parser(f"{PROG} synth", "Draw people: a DeepFashion folder with an index.")
    parser.add_argument("--out", type=Path, required=True, help="new folder")
    parser.add_argument("--identities", type=int, required=True, help="number of people")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--height", type=int, default=256, help="pixels")
    parser.add_argument("--width", type=int, default=176, help="pixels")
    parser.add_argument("--views", type=int, default=8, help="photographs a person")
    parser.add_argument(
        "--test_fraction", type=float, default=0.1, help="share of people for tests"
    )
    parser.add_argument("--sequences", type=int, default=0, help="number of moving sequences")
    parser.add_argument("--frames", type=int, default=16, help="frames a sequence")
    parser.add_argument("--workers", type=int, default=1, help="processes that draw")
    options = parse_command(parser, argv)
    from jcdm.data.synthetic import contact_sheet, write_dataset

    index = write_dataset(
        options.out,
        num_identities=options.identities,
        seed=options.seed,
        size=(options.height, options.width),
        num_views=options.views,
        test_fraction=options.test_fraction,
        num_sequences=options.sequences,
        num_frames=options.frames,
        num_workers=options.workers,
    )
    identities = range(min(options.identities, PEOPLE_ON_SHEET))
    sheet = contact_sheet(
        seed=options.seed, identities=identities, num_views=min(options.views, VIEWS_ON_SHEET)
    )
    sheet.save(options.out / SHEET)
    print(f"{options.identities} people drawn: {index}; the first ones to look at: {SHEET}")
