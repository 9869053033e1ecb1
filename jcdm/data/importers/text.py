"""Read lists: the lines of a text file, and the entries of a JSON array with their lines."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from jcdm.errors import DataError

_WHITESPACE = " \t\r\n"


class Entry(NamedTuple):
    """A line of text or an entry of a JSON array; where is file:line, relative to the root."""

    where: str
    value: Any


def read_text(path: Path) -> str:
    """Read a list as UTF-8 (a byte order mark is no part of it); DataError in one line."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"{path} not found. Check --root and --format.") from None
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: byte {error.start} is no UTF-8 text, expected a list of names. "
            "Download the file again."
        ) from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}. Check --root.") from None


def read_lines(path: Path, root: Path) -> list[Entry]:
    """Return the lines of a list that are not blank, without white space around them."""
    name = relative(path, root)
    lines = read_text(path).split("\n")
    return [Entry(f"{name}:{n}", s) for n, line in enumerate(lines, 1) if (s := line.strip())]


def read_table(path: Path, root: Path, header: str) -> list[Entry]:
    """Return the lines of a list below its header; DataError when it has another one."""
    lines = read_lines(path, root)
    found = lines[0].value.replace(" ", "") if lines else "an empty file"
    if found != header:
        raise DataError(
            f"{path}:1: found {shown(found)}, expected the header {header!r}. "
            "Download the file again."
        )
    return lines[1:]


def read_array(path: Path, root: Path) -> list[Entry]:
    """Return the entries of a JSON array; DataError with the line where it is none."""
    name = relative(path, root)
    text = read_text(path)
    entries = enumerate(split_array(text, path), 1)
    return [Entry(f"{name}:{line} (entry {n})", value) for n, (line, value) in entries]


def split_array(text: str, path: Path | str) -> Iterator[tuple[int, Any]]:
    """Yield line and value of each entry of a JSON array; NaN, Infinity and rubbish are refused."""
    position, line, counted = _skip(text, 0), 1, 0
    if text[position : position + 1] != "[":
        _refuse(path, 1, "found no array")
    decoder = json.JSONDecoder(parse_constant=_no_constant)
    position = _skip(text, position + 1)
    if text[position : position + 1] == "]":
        return _end(text, position + 1, path)
    while True:
        line, counted = line + text.count("\n", counted, position), position
        try:
            value, position = decoder.raw_decode(text, position)
        except (ValueError, RecursionError) as error:
            _refuse(path, line, getattr(error, "msg", None) or str(error))
        yield line, value
        position = _skip(text, position)
        sign, position = text[position : position + 1], _skip(text, position + 1)
        if sign == "]":
            return _end(text, position, path)
        if sign != ",":
            _refuse(path, line, f"found {shown(sign)} after an entry, expected ',' or ']'")


def _end(text: str, position: int, path: Path | str) -> None:
    if _skip(text, position) < len(text):
        _refuse(path, 1 + text.count("\n", 0, position), "found more text after the array")


def _skip(text: str, position: int) -> int:
    while position < len(text) and text[position] in _WHITESPACE:
        position += 1
    return position


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"found {name}, expected a finite number")


def _refuse(path: Path | str, line: int, reason: str) -> NoReturn:
    reason = " ".join(reason.split())[:120]
    raise DataError(
        f"{path}:{line}: not a JSON array: {reason}. Download the file again."
    ) from None


def relative(path: Path, root: Path) -> str:
    """Name a file as seen from the root."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name


def shown(value: object) -> str:
    """Describe a wrong value in a few words of plain ASCII."""
    if isinstance(value, list | dict):
        return f"{'a list' if isinstance(value, list) else 'an object'} of {len(value)}"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 10**20:
        return f"a number of about 10^{int(math.log10(abs(value)))}"
    text = ascii(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
