"""Files that stand where a photograph should: damaged, mislabelled, hostile, or only unusual."""

import os
import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

Damage = Callable[[Path], None]
SIZE = (64, 48)


def picture(seed: int = 0) -> Image.Image:
    """Make noise, whose files are long enough to be cut anywhere."""
    pixels = np.random.default_rng(seed).integers(0, 256, (*SIZE, 3))
    return Image.fromarray(pixels.astype(np.uint8))


def encoded(kind: str, **options: object) -> bytes:
    """Encode the picture as a file of this kind."""
    buffer = BytesIO()
    picture().save(buffer, kind, **options)
    return buffer.getvalue()


def replaced(content: bytes) -> Damage:
    """Put these bytes in the place of a file."""

    def damage(path: Path) -> None:
        path.unlink(missing_ok=True)
        path.write_bytes(content)

    return damage


def half(content: bytes) -> bytes:
    return content[: len(content) // 2]


def png(width: int, height: int, depth: int = 8, colour: int = 2, data: bytes = b"") -> bytes:
    """Write a PNG whose header says anything, whatever its data holds."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    found = b"\x89PNG\r\n\x1a\n"
    for kind, body in ((b"IHDR", header), (b"IDAT", zlib.compress(data)), (b"IEND", b"")):
        checked = kind + body
        found += struct.pack(">I", len(body)) + checked + struct.pack(">I", zlib.crc32(checked))
    return found


def bmp_bomb(side: int) -> bytes:
    """Write a BMP header of side x side pixels with no pixel behind it."""
    info = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + len(info), 0, 0, 54) + info


def gif_bomb(side: int) -> bytes:
    """Change the size in a GIF's header."""
    small = encoded("GIF")
    return small[:6] + struct.pack("<HH", side, side) + small[10:]


def jpeg_bomb(side: int) -> bytes:
    """Change the size in a JPEG's frame header."""
    small = encoded("JPEG")
    place = small.index(b"\xff\xc0") + 5
    return small[:place] + struct.pack(">HH", side, side) + small[place + 4 :]


def webp_bomb() -> bytes:
    """Claim the largest size that a lossy WebP's header can hold."""
    small = encoded("WEBP")
    place = small.index(b"\x9d\x01\x2a") + 3
    return small[:place] + struct.pack("<HH", 16383, 16383) + small[place + 4 :]


def folder(path: Path) -> None:
    """Put a folder in the place of a file."""
    path.unlink(missing_ok=True)
    path.mkdir()


def pipe(path: Path) -> None:
    """Put a pipe there, which nobody ever writes to."""
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def dangling_link(path: Path) -> None:
    """Put a link to nothing there."""
    path.unlink(missing_ok=True)
    path.symlink_to(path.with_name("nothing.png"))


def gone(path: Path) -> None:
    path.unlink(missing_ok=True)


def floats(path: Path) -> None:
    """Put floating-point pixels there."""
    path.unlink(missing_ok=True)
    Image.new("F", SIZE, 0.5).save(path, "TIFF")


def large_integers(path: Path) -> None:
    """Put pixels of 32 bits there, whose white nobody knows."""
    path.unlink(missing_ok=True)
    Image.fromarray(np.full(SIZE, 10**6, np.int32)).save(path, "TIFF")


BOMBS: dict[str, bytes] = {
    "png": png(60_000, 60_000, data=bytes(1000)),
    "bmp": bmp_bomb(60_000),
    "gif": gif_bomb(60_000),
    "jpeg": jpeg_bomb(60_000),
    "webp": webp_bomb(),
}

_JPEG, _PNG = encoded("JPEG"), encoded("PNG")
DAMAGES: dict[str, Damage] = {
    "truncated jpeg": replaced(half(_JPEG)),
    "truncated progressive jpeg": replaced(half(encoded("JPEG", progressive=True))),
    "jpeg filled up with zeros": replaced(half(_JPEG) + bytes(len(_JPEG) // 2)),
    "truncated png": replaced(half(_PNG)),
    "png filled up with zeros": replaced(half(_PNG) + bytes(len(_PNG) // 2)),
    "truncated webp": replaced(half(encoded("WEBP"))),
    "truncated gif": replaced(half(encoded("GIF"))),
    "zero bytes": replaced(b""),
    "one byte": replaced(b"\xff"),
    "only zeros": replaced(bytes(4096)),
    "text": replaced(b"this is no picture\n"),
    "html": replaced(b"<!doctype html><html><body>404 Not Found</body></html>"),
    "postscript": replaced(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n%%EOF\n"),
    "zip": replaced(b"PK\x03\x04" + bytes(100)),
    "folder": folder,
    "pipe": pipe,
    "dangling link": dangling_link,
    "gone": gone,
    "floating point": floats,
    "integers of 32 bits": large_integers,
    **{f"{kind} bomb": replaced(content) for kind, content in BOMBS.items()},
}
