"""Films written by PyAV for tests."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

TICKS = 1000  # a second


def write_film(
    path: Path,
    frames: Sequence[np.ndarray],
    seconds: Sequence[float],
    *,
    rotation: int | None = None,
    pixel_aspect: Fraction | None = None,
    exact_colours: bool = False,
) -> Path:
    """Write RGB frames (H,W,3), even sizes, each shown from its own time on, as H.264.

    rotation: by which a player turns the film, in degrees counter-clockwise.
    """
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=TICKS, options={"crf": "5", "bf": "2"})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv444p" if exact_colours else "yuv420p"
        stream.codec_context.time_base = Fraction(1, TICKS)
        if rotation is not None:
            stream.set_display_rotation(rotation)
        if pixel_aspect is not None:
            stream.codec_context.sample_aspect_ratio = pixel_aspect
        for pixels, time in zip(frames, seconds, strict=True):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = round(time * TICKS), Fraction(1, TICKS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def grey(level: int, size: tuple[int, int] = (32, 48)) -> np.ndarray:
    """Make a frame of one grey."""
    return np.full((*size, 3), level, np.uint8)
