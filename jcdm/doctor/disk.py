"""Folders that are written: permissions and free space."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from jcdm.cache.reader import DEFAULT_COPIES
from jcdm.config import Config
from jcdm.doctor.finding import Finding, missing, note, ok, readable
from jcdm.errors import JCDMError

LEAST_FREE = 1e9  # bytes, of a folder for temporary files


def find_folders() -> Iterator[Finding]:
    """Look at the folders that are written whatever is run."""
    yield _find("temporary files", Path(tempfile.gettempdir()), "set TMPDIR to another folder")
    yield _find("kept files", DEFAULT_COPIES.parent, "make it writable, or set HOME")


def find_out(out: Path) -> Finding:
    """Look at the folder of a run."""
    return _find("run.out", out, "choose another: --run.out=DIR")


def _find(about: str, folder: Path, advice: str) -> Finding:
    """Look whether files can be made in a folder, or the folder itself in the nearest above it."""
    if "${" in str(folder):
        return missing(about, f"{folder}: the environment variable is not set")
    place = nearest(folder)
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        return missing(about, f"{folder} cannot be written; {advice}")
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        return missing(about, f"{folder} cannot be written: {error.strerror}; {advice}")
    free = shutil.disk_usage(place).free
    line = f"{folder}: writable, {readable(free)} free"
    if free < LEAST_FREE:
        return note(about, f"{line}, which is little; {advice}")
    return ok(about, line)


def nearest(folder: Path) -> Path:
    """Return a folder, or the nearest one above it that exists."""
    return next((p for p in (folder, *folder.absolute().parents) if p.exists()), Path("/"))


def find_space(kind: str, config: Config) -> Finding:
    """Hold free space against what the checkpoints of a run take."""
    try:
        one, how = _checkpoint_size(kind, config)
    except JCDMError as error:
        is_assumed = not (config.encoders.vae / "config.json").is_file()
        line = f"cannot be counted{' without encoders.vae' if is_assumed else ''}: {error}"
        return note("space", line) if is_assumed else missing("space", line)
    kept = config.train.keep_checkpoints + config.train.keep_best
    existing = _tree_size(config.run.out / "checkpoints")
    needed = max(0, one * (kept + 1) - existing) + one // 4  # one more while saving; final weights
    free = shutil.disk_usage(nearest(config.run.out)).free
    line = (
        f"{readable(free)} free for run.out; {readable(needed)} more are needed at most: "
        f"{kept} checkpoints of {readable(one)} {how}, one more while saving, final weights"
    )
    if free < needed:
        return missing("space", f"{line}; free some, or lower train.keep_checkpoints or keep_best")
    return ok("space", line)


def _checkpoint_size(kind: str, config: Config) -> tuple[int, str]:
    """Return the bytes of a checkpoint: as the run's newest one has it, else counted."""
    folders = sorted((config.run.out / "checkpoints").glob("step_*"))
    if folders:
        return _tree_size(folders[-1]), "(as the newest is)"
    import torch

    from jcdm.training.footprint import parameter_bytes
    from jcdm.training.plan import meta_parts

    with torch.device("meta"):
        module = meta_parts(kind, config).module
    learns = parameter_bytes(module, only_trainable=True)
    return parameter_bytes(module) + 3 * learns, "(weights, averages, two moments)"


def _tree_size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
