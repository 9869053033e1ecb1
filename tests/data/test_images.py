"""Every picture becomes upright 8-bit RGB, or a single clear line."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jcdm.data.images import load_image
from jcdm.errors import DataError, MissingViewError


def pixels(path: Path) -> np.ndarray:
    image = load_image(path)
    assert image.mode == "RGB"
    return np.asarray(image)


def test_exif_orientation_is_applied(tmp_path):
    image = Image.new("RGB", (4, 2))
    image.putpixel((0, 0), (255, 0, 0))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    image.save(tmp_path / "turned.png", exif=exif)
    found = pixels(tmp_path / "turned.png")
    assert found.shape == (4, 2, 3)
    assert found[0, 1].tolist() == [255, 0, 0]


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("L", 100, (100, 100, 100)),
        ("1", 1, (255, 255, 255)),
        ("LA", (100, 255), (100, 100, 100)),
        ("LA", (100, 0), (255, 255, 255)),
        ("RGBA", (10, 20, 30, 255), (10, 20, 30)),
        ("RGBA", (10, 20, 30, 0), (255, 255, 255)),
        ("I;16", 257 * 77, (77, 77, 77)),
    ],
)
def test_modes_become_rgb_over_white(tmp_path, mode, colour, expected):
    Image.new(mode, (3, 2), colour).save(tmp_path / "a.png")
    assert (pixels(tmp_path / "a.png") == expected).all()


def test_half_transparent_pixels_are_mixed_with_white(tmp_path):
    Image.new("RGBA", (2, 2), (0, 0, 0, 128)).save(tmp_path / "a.png")
    np.testing.assert_allclose(pixels(tmp_path / "a.png"), 127, atol=1)


def test_palettes_with_a_transparent_colour(tmp_path):
    image = Image.new("P", (2, 1), 0)
    image.putpalette([9, 8, 7, 200, 100, 50])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / "a.png", transparency=0)
    assert pixels(tmp_path / "a.png")[0].tolist() == [[255, 255, 255], [200, 100, 50]]


def test_cmyk_jpeg(tmp_path):
    Image.new("CMYK", (8, 8), (255, 0, 0, 0)).save(tmp_path / "a.jpg")
    red, green, blue = pixels(tmp_path / "a.jpg")[0, 0]
    assert red < 30 and green > 200 and blue > 200


def test_sixteen_bit_colours(tmp_path):
    row = b"\0" + struct.pack(">3H", 65535, 257 * 10, 0)
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(row)),
        (b"IEND", b""),
    ]
    data = b"\x89PNG\r\n\x1a\n"
    for kind, body in chunks:
        data += struct.pack(">I", len(body)) + kind + body
        data += struct.pack(">I", zlib.crc32(kind + body))
    (tmp_path / "a.png").write_bytes(data)
    np.testing.assert_allclose(pixels(tmp_path / "a.png")[0, 0], [255, 10, 0], atol=1)


def error_of(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        load_image(path)
    message = str(caught.value)
    assert "\n" not in message and str(path) in message
    return message


def test_a_missing_file(tmp_path):
    with pytest.raises(MissingViewError, match=r"none\.png not found.*data check"):
        load_image(tmp_path / "none.png")


@pytest.mark.parametrize("content", [b"", b"<html>not a picture</html>"])
def test_what_is_no_picture(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)
    assert "empty or not a picture" in error_of(tmp_path / "a.png")


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_truncated_files(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3))
    Image.fromarray(noise.astype(np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:900])
    error_of(path)


def test_a_folder_is_no_picture(tmp_path):
    error_of(tmp_path)


def test_floating_point_pixels_are_refused(tmp_path):
    Image.new("F", (2, 2), 0.5).save(tmp_path / "a.tiff")
    assert "floating-point" in error_of(tmp_path / "a.tiff")


@pytest.mark.parametrize("limit", [70, 40])
def test_decompression_bombs_are_refused(tmp_path, monkeypatch, limit):
    Image.new("RGB", (10, 10)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    assert "too many pixels" in error_of(tmp_path / "a.png")


def test_a_huge_picture_is_refused_even_when_pillow_s_own_limit_is_off(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n"
    for kind, body in ((b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 1000)), (b"IEND", b"")):
        data += struct.pack(">I", len(body)) + kind + body
        data += struct.pack(">I", zlib.crc32(kind + body))
    (tmp_path / "a.png").write_bytes(data)
    assert "too many pixels" in error_of(tmp_path / "a.png")
