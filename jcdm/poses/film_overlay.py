"""A film with the skeletons drawn over it, to check a pose sequence by eye."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from PIL import Image

from jcdm.poses.film import FilmFrame
from jcdm.poses.overlay import draw_overlay
from jcdm.poses.sequence import PoseSequence

LONGEST_SIDE = 512  # pixels; a whole film of larger pictures would not fit into memory


def keep_small(frames: Iterable[FilmFrame], kept: list[Image.Image]) -> Iterator[FilmFrame]:
    """Hand frames on, and add a small copy of every picture to `kept`."""
    for frame in frames:
        small = frame.picture.copy()
        small.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
        kept.append(small)
        yield frame


def write_overlay(pictures: Sequence[Image.Image], sequence: PoseSequence, path: Path) -> Path:
    """Write an MP4 of the pictures under their skeletons, about as fast as the frames are apart."""
    from jcdm.pipelines.video import write_mp4

    drawn = [
        draw_overlay(picture, pose) for picture, pose in zip(pictures, sequence.poses, strict=True)
    ]
    lasting = sequence.seconds[-1] - sequence.seconds[0]
    fps = round((len(drawn) - 1) / lasting) if lasting > 0 else 1
    return write_mp4(drawn, path, max(1, fps))
