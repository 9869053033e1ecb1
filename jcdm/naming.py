"""Names out of files: whether they may be joined to a folder, and files called after them."""

import hashlib
import re
from pathlib import PurePosixPath, PureWindowsPath

LONGEST_PART = 255  # bytes, in every usual file system
_PLAIN = re.compile(r"[^\W_][\w.+,=@ ()-]{0,150}", re.ASCII)
_ODD = re.compile(r"[^A-Za-z0-9_.-]+")


def leads_out(name: str) -> bool:
    """Tell whether a name, joined to a folder, may lead out of it on any system, or is no name."""
    posix, windows = PurePosixPath(name), PureWindowsPath(name)
    is_absolute = posix.is_absolute() or bool(windows.drive or windows.root)
    is_none = "\0" in name or not name.strip() or any(map(_is_too_long, posix.parts))
    return is_absolute or ".." in windows.parts or is_none


def _is_too_long(part: str) -> bool:
    return len(part.encode("utf-8", "surrogatepass")) > LONGEST_PART


def file_stem(name: str) -> str:
    """Return a name to call a file after, without its ending: never more than one path component.

    Plain names stay as they are. Others lose what is odd and get a hash, which keeps them apart.
    """
    if _PLAIN.fullmatch(name) and not name.endswith((" ", ".")):
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"{_ODD.sub('_', name)[:60].strip('._')}_{digest}".lstrip("_")
