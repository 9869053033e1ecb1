"""Frames of a film with their times, upright, by PyAV."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from jcdm.errors import ConfigError, DataError

_TURNS = (None, Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270)
"""How to turn a picture by a number of right angles, counter-clockwise."""

_TICK = 1e-3  # seconds; Matroska's clock has such steps, so that equal times differ by rounding


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmFrame:
    """One frame: an upright RGB picture, and when it is shown, in seconds from the first frame."""

    picture: Image.Image
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmCut:
    """Which frames to take: those from `start` up to, without, `end`, in seconds.

    fps: frames a second to take; where the film has fewer, frames repeat, where it has more, some
    are left out; None = every frame of the film at its own time. max_frames: at most so many.
    """

    fps: float | None = None
    start: float = 0.0
    end: float | None = None
    max_frames: int | None = None

    def __post_init__(self) -> None:
        if self.fps is not None and not 0 < self.fps < math.inf:
            raise ConfigError(f"fps is {self.fps}; expected a number of frames a second above 0.")
        if not 0 <= self.start < math.inf:
            raise ConfigError(f"start is {self.start}; expected seconds, 0 or more.")
        if self.end is not None and not self.start < self.end:
            raise ConfigError(f"end is {self.end}; expected seconds after start={self.start}.")
        if self.max_frames is not None and self.max_frames < 1:
            raise ConfigError(f"max_frames is {self.max_frames}; expected 1 or more.")


def read_film(path: Path, cut: FilmCut | None = None) -> Iterator[FilmFrame]:
    """Read a film frame by frame, in the order in which frames are shown.

    Frames are turned as the film's rotation says, and stretched to square pixels. With `cut.fps`,
    frame k is what the film shows at start + k / fps, also where its frames last unequally long.
    Errors: DataError when the file is missing, no film, damaged, or has no frame in the cut;
    ConfigError without PyAV.
    """
    cut = cut or FilmCut()
    shown = _decode(path)
    if cut.fps is not None:
        shown = _resample(shown, cut.start, cut.fps)
    seconds, count = 0.0, 0
    for seconds, _, picture in shown:
        if cut.end is not None and seconds > cut.end - _TICK:
            break
        if seconds > cut.start - _TICK:
            yield FilmFrame(picture=picture(), seconds=seconds)
            count += 1
        if count == cut.max_frames:
            break
    if count == 0:
        raise DataError(
            f"{path}: found no frame from {cut.start:g} s on, within the cut asked for; the last "
            f"one seen is at {seconds:.2f} s. Choose an earlier --start or a later --end."
        )


Shown = tuple[float, float, Callable[[], Image.Image]]
"""When a frame is shown and for how long, in seconds, and what converts it to a picture."""


def _decode(path: Path) -> Iterator[Shown]:
    av = _pyav()
    if not path.is_file():
        raise DataError(f"{path} not found; expected a film such as an .mp4 file.")
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise DataError(f"{path} has no pictures, only other streams; expected a film.")
            stream = container.streams.video[0]
            usual = float(1 / (stream.average_rate or 25))
            aspect = float(stream.sample_aspect_ratio or 1)
            origin = None
            for frame in container.decode(stream):
                if frame.time is None:
                    raise DataError(
                        f"{path} says of no frame when it is shown; convert the film to .mp4."
                    )
                origin = frame.time if origin is None else origin
                lasting = float(frame.duration * frame.time_base) if frame.duration else usual
                yield frame.time - origin, lasting, partial(_upright, frame, aspect)
            if origin is None:
                raise DataError(f"{path} has no frames; expected a film.")
    except av.FFmpegError as error:
        reason = " ".join(str(error.strerror or error).split())
        raise DataError(
            f"{path} cannot be read as a film: {reason}. Play it, or convert it to .mp4."
        ) from None


def _resample(shown: Iterator[Shown], start: float, fps: float) -> Iterator[Shown]:
    """Take what is shown at start, start + 1/fps, ... until the last frame's time is over."""
    number, current = 0, None
    for following in shown:
        while current is not None and (time := start + number / fps) < following[0] - _TICK:
            yield time, 1 / fps, current[2]
            number += 1
        current = following
    while current is not None and (time := start + number / fps) < sum(current[:2]) - _TICK:
        yield time, 1 / fps, current[2]
        number += 1


def _upright(frame: Any, pixel_aspect: float) -> Image.Image:
    """Convert PyAV's frame to an RGB picture as a player shows it."""
    picture = Image.fromarray(frame.to_ndarray(format="rgb24"))
    if pixel_aspect != 1:
        size = (max(1, round(picture.width * pixel_aspect)), picture.height)
        picture = picture.resize(size, Image.Resampling.BICUBIC)
    turn = _TURNS[round(frame.rotation / 90) % 4]
    return picture if turn is None else picture.transpose(turn)


def _pyav() -> Any:
    try:
        import av
    except ImportError as error:
        raise ConfigError(
            "reading a film needs PyAV, which is not installed; run: pip install 'jcdm[video]'."
        ) from error
    return av
