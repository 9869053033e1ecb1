"""Unpack a zip file with a password, without letting any name in it leave the target folder."""

import getpass
import os
import shutil
import stat
import sys
import zipfile
import zlib
from pathlib import Path

from jcdm.data.importers.text import shown
from jcdm.errors import DataError
from jcdm.naming import leads_out

_ENCRYPTED = 0x1


def unpack(archive: Path, target: Path, password: str | None = None) -> Path:
    """Unpack an archive into the new folder `target` and return it; nothing is left on failure.

    A password that is needed and not given is asked for on the terminal. DataError in one line
    for a wrong password, a damaged file, and for names that would leave the folder, which are
    found before the first file is written.
    """
    if target.is_dir() and any(target.iterdir()):
        raise DataError(f"{target} is not empty. Import it with --root {target}, or remove it.")
    partial = target.with_name(f".{target.name}.partial-{os.getpid()}")
    try:
        with zipfile.ZipFile(archive) as opened:
            members = opened.infolist()
            _check(archive, members, target)
            key = _password(archive, members, password)
            shutil.rmtree(partial, ignore_errors=True)  # of a killed process of the same number
            partial.mkdir(parents=True)
            for member in members:
                _extract(opened, member, partial, key)
        if target.exists():
            target.rmdir()
        partial.rename(target)
    except (zipfile.BadZipFile, zlib.error, EOFError):
        raise DataError(f"{archive} is no complete zip file. Download it again.") from None
    except OSError as error:
        raise DataError(
            f"{archive} cannot be unpacked into {target}: {error.strerror or error}. "
            "Choose a folder on a writable disk with --extract_to."
        ) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


def _check(archive: Path, members: list[zipfile.ZipInfo], target: Path) -> None:
    """Refuse an archive with a name that leads out, a link, or more than the disk can hold."""
    for member in members:
        is_outside = leads_out(member.filename)
        kind = stat.S_IFMT(member.external_attr >> 16)
        if is_outside or kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            what = "a name that leads out of the folder" if is_outside else "a link or device"
            raise DataError(
                f"{archive}: found {what}: {shown(member.filename)}, expected plain files. "
                "Download the archive again from its source."
            )
    place = target.absolute().parent
    while not place.exists():
        place = place.parent
    needed, free = sum(member.file_size for member in members), shutil.disk_usage(place).free
    if needed > free:
        raise DataError(
            f"{archive} holds {needed / 1e9:.1f} GB, found {free / 1e9:.1f} GB free at {place}. "
            "Choose another disk with --extract_to."
        )


def _password(archive: Path, members: list[zipfile.ZipInfo], given: str | None) -> bytes | None:
    if not any(member.flag_bits & _ENCRYPTED for member in members):
        return None
    if given is None and sys.stdin.isatty():
        given = getpass.getpass(f"Password of {archive.name}: ")
    if not given:
        raise DataError(f"{archive} needs a password. Give it with --password, or on a terminal.")
    return given.encode()


def _extract(
    opened: zipfile.ZipFile, member: zipfile.ZipInfo, folder: Path, key: bytes | None
) -> None:
    archive = opened.filename
    try:
        opened.extract(member, folder, pwd=key)
    except NotImplementedError:
        raise DataError(
            f"{archive} is packed in a way Python cannot read (AES?). Unpack it with "
            "7z x, then import the folder with --root."
        ) from None
    except (RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        if not member.flag_bits & _ENCRYPTED:
            raise
        reason = "wrong password" if "assword" in str(error) else "wrong password or damaged file"
        raise DataError(f"{archive}: {reason}. Check --password.") from None
