"""Frames on disk: pictures, GIF and MP4."""

import sys

import numpy as np
import pytest
from PIL import Image

from jcdm.errors import ConfigError, DataError
from jcdm.pipelines.video import pad_to_even, write_frames, write_gif, write_mp4


def ramp(count, height=33, width=25):
    return [
        Image.new("RGB", (width, height), (20 + 50 * i, 90, 200 - 50 * i)) for i in range(count)
    ]


def test_frames_are_numbered_pictures(tmp_path):
    paths = write_frames(ramp(3), tmp_path / "new" / "frames")
    assert [path.name for path in paths] == [f"frame_0000{i}.png" for i in range(3)]
    assert Image.open(paths[2]).convert("RGB").getpixel((0, 0)) == (120, 90, 100)


def test_a_gif_has_all_frames_and_their_time(tmp_path):
    path = write_gif(ramp(4), tmp_path / "new" / "walk.gif", fps=10)
    with Image.open(path) as gif:
        assert gif.n_frames == 4
        assert gif.size == (25, 33)
        assert gif.info["duration"] == 100
        assert gif.info["loop"] == 0


@pytest.mark.parametrize("count", [1, 5])
def test_an_mp4_has_all_frames_at_an_even_size(tmp_path, count):
    av = pytest.importorskip("av")
    path = write_mp4(ramp(count), tmp_path / "new" / "walk.mp4", fps=6)
    with av.open(str(path)) as video:
        stream = video.streams.video[0]
        assert stream.average_rate == 6
        pictures = [frame.to_ndarray(format="rgb24") for frame in video.decode(stream)]
    assert len(pictures) == count
    assert pictures[0].shape == (34, 26, 3)
    np.testing.assert_allclose(pictures[0][16, 12], (20, 90, 200), atol=8)


def test_padding_repeats_the_edge_and_leaves_even_sizes_alone():
    image = np.arange(27, dtype=np.uint8).reshape(3, 3, 3)
    padded = pad_to_even(image)
    assert padded.shape == (4, 4, 3)
    np.testing.assert_array_equal(padded[3, :3], image[2])
    np.testing.assert_array_equal(padded[:3, 3], image[:, 2])
    assert pad_to_even(padded).shape == (4, 4, 3)


def test_nothing_unequal_sizes_and_a_standstill_are_refused(tmp_path):
    with pytest.raises(DataError, match="no frames"):
        write_gif([], tmp_path / "x.gif")
    with pytest.raises(DataError, match="different sizes"):
        write_frames(ramp(1) + ramp(1, 10), tmp_path)
    with pytest.raises(ConfigError, match="fps is 0"):
        write_mp4(ramp(1), tmp_path / "x.mp4", fps=0)


def test_a_missing_pyav_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ConfigError, match=r"jcdm\[video\]"):
        write_mp4(ramp(1), tmp_path / "x.mp4")
