"""`data import`: read a published layout, or your own photographs, into an index."""

from collections.abc import Sequence
from pathlib import Path

from jsonargparse import ArgumentParser

from jcdm.cli.data import PROG
from jcdm.cli.options import command_parser, parse_command, read_size

FORMATS = ("dptn", "cfld", "pcdms", "imagpose", "jcdm", "pidm", "market", "folder", "highres")
"""Each is a module of `jcdm.data.importers`."""


def main(argv: Sequence[str]) -> None:
    """Run `data import ...`."""
    options = parse_command(_parser(), argv)
    from jcdm.data.importers.base import Options
    from jcdm.data.importers.run import import_data

    imported = import_data(
        options.format,
        options.root,
        options.out,
        on_bad=options.on_bad,
        min_views=options.min_views,
        options=Options(
            need_pictures=not options.no_pictures,
            frame=_frame(options.frame),
            split=options.split,
            strip_prefix=options.strip_prefix,
            password=options.password,
            extract_to=options.extract_to,
            arrange=options.arrange,
        ),
    )
    for note in imported.notes:
        print(f"note: {note}")
    for where, reason in imported.skipped:
        print(f"skipped {where}: {reason}")
    for split, (num_subjects, num_views) in imported.counts.items():
        print(f"{split}: {num_subjects:,} subjects, {num_views:,} views")
    print(f"{imported.index} written; {len(imported.skipped)} rows skipped.")


def _parser() -> ArgumentParser:
    parser = command_parser(
        f"{PROG} import", "Read a published layout, or your photographs, into an index."
    )
    add = parser.add_argument
    add("--format", type=str, choices=FORMATS, required=True, help="layout of the folder")
    add("--root", type=Path, required=True, help="folder of the lists; highres: or a zip file")
    add("--out", type=Path, required=True, help="index.json to write")
    add(
        "--on_bad",
        "--on-bad",
        choices=("error", "skip"),
        default="error",
        help="a bad row ends the import, or is left out and listed",
    )
    add(
        "--no_pictures",
        "--no-pictures",
        action="store_true",
        help="import names and keypoints only; pictures are not looked for",
    )
    add("--min_views", type=int, default=1, help="leave out subjects with fewer views")
    add("--frame", type=str, default=None, help="HEIGHTxWIDTH of joints in pixels; default: told")
    add("--split", choices=("train", "test"), default="test", help="split of format folder")
    add("--strip_prefix", type=str, default="", help="beginning to cut off names in lists")
    add("--password", type=str, default=None, help="of the zip file; default: asked for")
    add("--extract_to", type=Path, default=None, help="new folder for the zip file's content")
    add("--arrange", type=Path, default=None, help="highres: folder for pictures as protocol names")
    return parser


def _frame(text: str | None) -> tuple[int, int] | None:
    return None if text is None else read_size("--frame", text)
