"""`poses extract`: joints of the people in a folder of photographs, or in those of an index."""

from collections.abc import Sequence
from pathlib import Path

from jsonargparse import ArgumentParser

from jcdm.cli.detector_options import (
    DETECTORS,
    add_detector_options,
    build_choice,
    build_detector,
    split_options,
)
from jcdm.cli.options import command_parser, parse_command
from jcdm.cli.poses import PROG
from jcdm.errors import ConfigError


def main(argv: Sequence[str]) -> None:
    """Run `poses extract ...`."""
    options, detection = split_options(parse_command(_parser(), argv))
    from jcdm.data.pose_files import EXTRACTION
    from jcdm.poses.extraction_run import ExtractionWish, run_extraction

    wish = ExtractionWish(**vars(options))
    choice, detector = build_choice(detection), build_detector(detection)
    if detector is None:
        raise ConfigError(f"no detector is named; add --detector, one of {', '.join(DETECTORS)}.")
    extracted = run_extraction(wish, detector, choice)
    for name, reason in extracted.skipped:
        print(f"skipped {name}: {reason}")
    print(
        f"{len(extracted.poses):,} poses in {wish.out}, {extracted.num_reused:,} of them from "
        f"before; {len(extracted.skipped):,} pictures skipped, listed in {wish.out / EXTRACTION}."
    )
    if wish.out_index is not None:
        print(f"{wish.out_index} written.")


def _parser() -> ArgumentParser:
    parser = command_parser(
        f"{PROG} extract", "Find the joints of the person in every photograph; cut runs go on."
    )
    add = parser.add_argument
    add("--root", type=Path | None, default=None, help="folder of pictures, and of folders of them")
    add("--index", type=Path | None, default=None, help="index.json, instead of --root")
    add("--out", type=Path, required=True, help="folder for a JSON file a picture")
    add("--out_index", type=Path | None, default=None, help="copy of --index with these joints")
    add("--overlays", type=Path | None, default=None, help="folder for pictures to check by eye")
    add(
        "--on_bad",
        "--on-bad",
        choices=("error", "skip"),
        default="error",
        help="a picture without one person's pose ends the run, or is left out and listed",
    )
    add_detector_options(parser)
    return parser
