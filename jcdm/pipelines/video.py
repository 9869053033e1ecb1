"""Write the frames of a sequence: pictures, a GIF (Pillow), an MP4 (x264 by PyAV)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from jcdm.errors import ConfigError, DataError


def write_frames(frames: Sequence[Image.Image], folder: Path) -> list[Path]:
    """Write frame_00000.png, frame_00001.png, ... and return their paths."""
    _check(frames)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"frame_{i:05d}.png" for i in range(len(frames))]
    for frame, path in zip(frames, paths, strict=True):
        frame.save(path)
    return paths


def write_gif(frames: Sequence[Image.Image], path: Path, fps: float = 8.0) -> Path:
    """Write an endlessly repeated GIF; its clock has steps of 10 ms. Returns the path."""
    _check(frames, fps)
    path.parent.mkdir(parents=True, exist_ok=True)
    first, *rest = frames
    duration = max(20, round(100 / fps) * 10)
    first.save(path, save_all=True, append_images=rest, duration=duration, loop=0)
    return path


def write_mp4(frames: Sequence[Image.Image], path: Path, fps: int = 8) -> Path:
    """Write an H.264 video that every player shows (yuv420p, which needs even sizes).

    Odd sizes repeat the last row or column. Returns the path. Errors: ConfigError without PyAV.
    """
    _check(frames, fps)
    try:
        import av
    except ImportError as error:
        raise ConfigError(
            "writing MP4 needs PyAV, which is not installed; run: pip install 'jcdm[video]'."
        ) from error
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = [pad_to_even(np.asarray(frame.convert("RGB"))) for frame in frames]
    with av.open(str(path), mode="w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"crf": "18"})
        stream.height, stream.width = arrays[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for array in arrays:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(array, format="rgb24")))
        container.mux(stream.encode())
    return path


def pad_to_even(image: np.ndarray) -> np.ndarray:
    """Repeat the last row and column where a size is odd: (H,W,3) -> even (H',W',3)."""
    height, width = image.shape[:2]
    return np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")


def _check(frames: Sequence[Image.Image], fps: float = 1.0) -> None:
    """Raise a DataError for no frames or unequal sizes, a ConfigError for an impossible rate."""
    if not frames:
        raise DataError("found no frames to write; expected at least one.")
    sizes = {frame.size for frame in frames}
    if len(sizes) > 1:
        raise DataError(f"found frames of different sizes: {sorted(sizes)}; expected one size.")
    if fps <= 0:
        raise ConfigError(f"fps is {fps}; expected a number of frames a second above 0.")
