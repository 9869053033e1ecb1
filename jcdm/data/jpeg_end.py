"""Tell a whole JPEG file from one whose end is lost, where decoders invent the rest in grey."""

import os
from typing import BinaryIO

_END = b"\xff\xd9"
_START_OF_SCAN = 0xDA


def has_end(file: BinaryIO) -> bool:
    """Say whether a JPEG's mark of its end stands behind its pixels.

    A file cut off and filled up with zeros, as a full disk or a broken copy leaves it, has none,
    and is decoded without complaint. Bytes behind the mark are no fault: cameras write some.
    """
    if file.seek(0, os.SEEK_END) < len(_END):
        return False
    file.seek(-len(_END), os.SEEK_END)
    if file.read() == _END:
        return True
    file.seek(0)
    content = file.read()
    return content.find(_END, _pixels_start(content)) >= 0


def _pixels_start(content: bytes) -> int:
    """Find where the pixels begin: segments before, such as thumbnails, may hold any bytes."""
    place = 2
    while place + 4 <= len(content) and content[place] == 0xFF:
        marker = content[place + 1]
        if marker == 0xFF:  # a byte that fills up
            place += 1
            continue
        place += 2 + int.from_bytes(content[place + 2 : place + 4])
        if marker == _START_OF_SCAN:
            break
    return place
