"""`sample images --references ... --poses ... --out DIR`: own photographs in one command."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from jcdm.cli.detector_options import (
    add_detector_options,
    build_choice,
    build_detector,
    split_options,
)
from jcdm.cli.options import command_parser, parse_command
from jcdm.cli.sampling_options import add_sampling_options, take_settings

PROG = "python -m jcdm sample images"
TINY = Path(__file__).resolve().parents[2] / "assets" / "tiny"


def main(argv: Sequence[str]) -> None:
    """Paint the person of some photographs in poses that files give."""
    parser = command_parser(
        PROG, "Paint the person of your photographs in other poses. Without --references: test."
    )
    parser.add_argument("--references", type=Path, nargs="+", required=True, help="photographs")
    parser.add_argument(
        "--poses", type=Path, nargs="+", required=True, help="pose maps, JSON files, photographs"
    )
    parser.add_argument("--out", type=Path, required=True, help="new folder")
    parser.add_argument(
        "--reference_keypoints", type=Path, nargs="*", default=[], help="JSON, one a photograph"
    )
    parser.add_argument("--pipeline", type=Path, default=TINY, help="pipeline folder")
    parser.add_argument("--schedule", type=Literal["trained", "published"] | None, default=None)
    add_sampling_options(parser)
    parser.add_argument("--seed", type=int, default=0)
    add_detector_options(parser)
    options, detection = split_options(parse_command(parser, argv))
    from jcdm.evaluation.own_photographs import OwnPhotographs, paint_own
    from jcdm.logs import close_logging, setup_logging
    from jcdm.poses.choose import person_finder

    setup_logging(None)
    try:
        detector = build_detector(detection)
        find = person_finder(detector, build_choice(detection)) if detector else None
        identity = detector.identity if detector else None
        wish = OwnPhotographs(
            references=options.references,
            poses=options.poses,
            out=options.out,
            pipeline=options.pipeline,
            reference_keypoints=options.reference_keypoints,
            schedule=options.schedule,
            preset=options.preset,
            settings=take_settings(options),
            seed=options.seed,
            detector=identity,
        )
        painted = paint_own(wish, find)
    finally:
        close_logging()
    for path in painted:
        print(f"painted: {path}")
    print(f"to look at: {options.out / 'sheet.png'}")
