"""`poses video`: a film -> the poses of one person in it."""

from argparse import Namespace
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
from jcdm.cli.poses import PROG
from jcdm.errors import ConfigError


def main(argv: Sequence[str]) -> None:
    """Run `poses video ...`."""
    parser = command_parser(f"{PROG} video", "Find one person's pose in every frame of a film.")
    add = parser.add_argument
    add("--film", type=Path, required=True, help="any film that FFmpeg reads")
    add("--out", type=Path, required=True, help="new JSON file of the poses")
    add("--overlay", type=Path | None, default=None, help="MP4: film and skeletons, to check")
    add("--fps", type=float | None, default=8.0, help="frames a second; null = all of the film")
    add("--start", type=float, default=0.0, help="seconds")
    add("--end", type=float | None, default=None, help="seconds")
    add("--max_frames", type=int | None, default=None)
    add("--max_gap", type=int, default=3, help="frames that may be filled in between sightings")
    add("--long_gaps", type=Literal["error", "unseen"], default="error")
    add("--smoothing", type=float, default=0.0, help="seconds; 0 = none")
    add_detector_options(parser)
    _find(*split_options(parse_command(parser, argv)))


def _find(options: Namespace, detection: Namespace) -> None:
    from PIL import Image

    from jcdm.poses.film import FilmCut, read_film
    from jcdm.poses.film_overlay import keep_small, write_overlay
    from jcdm.poses.sequence import SequenceOptions, find_sequence, write_sequence

    cut = FilmCut(
        fps=options.fps, start=options.start, end=options.end, max_frames=options.max_frames
    )
    following = SequenceOptions(
        choice=build_choice(detection),
        max_gap=options.max_gap,
        long_gaps=options.long_gaps,
        smoothing=options.smoothing,
    )
    detector = build_detector(detection)
    if detector is None:
        raise ConfigError(
            "poses video needs a detector: --detector dwpose --yolox FILE --dwpose FILE, or "
            "--detector openpose --openpose FILE (docs/poses.md)."
        )
    frames, pictures = read_film(options.film, cut), list[Image.Image]()
    if options.overlay is not None:
        frames = keep_small(frames, pictures)
    sequence = find_sequence(frames, detector, following, options.film.name)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write_sequence(options.out, sequence, film=options.film.name, fps=options.fps)
    print(
        f"{len(sequence.poses)} poses: {options.out}; {len(sequence.bridged)} filled in, "
        f"{len(sequence.unseen)} without the person"
    )
    if options.overlay is not None:
        print(f"to look at: {write_overlay(pictures, sequence, options.overlay)}")
