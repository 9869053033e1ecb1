"""Copy, change and list folders of recorded numbers, for tests of how they are read."""

import hashlib
import io
import json
import shutil
from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

from jcdm.compat.parity.fixtures import MANIFEST, TENSORS, picture


def copy_fixtures(source: Path, target: Path, names: Collection[str] | None = None) -> Path:
    """Copy a folder, or some fixtures of it, and list what was copied."""
    target.mkdir()
    for name in json.loads((source / MANIFEST).read_text()):
        if names is None or name.split(".")[0] in names:
            shutil.copyfile(source / name, target / name)
    list_files(target)
    return target


def list_files(folder: Path) -> None:
    """Write the manifest of the files that are there."""
    manifest = {}
    for path in sorted(folder.iterdir()):
        if path.name != MANIFEST:
            entry: dict = {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
            if path.name.endswith(TENSORS):
                entry["tensors"] = {key: list(t.shape) for key, t in load_file(path).items()}
            manifest[path.name] = entry
    (folder / MANIFEST).write_text(json.dumps(manifest))


def change_tensors(path: Path, change: Callable[[str, Tensor], Tensor]) -> None:
    """Rewrite a file of tensors, `change(name, tensor)` each, and list its folder again."""
    save_file({key: change(key, tensor) for key, tensor in load_file(path).items()}, path)
    list_files(path.parent)


def another_value(name: str, tensor: Tensor) -> Tensor:
    """Return numbers, or the bytes of a picture, that no tolerance takes for the given ones."""
    if name.endswith("png"):
        return _inverted(tensor)
    if tensor.dtype == torch.uint8:
        return tensor + 64
    if not tensor.is_floating_point():
        return tensor + 1
    return tensor * 1.01 + 0.1


def _inverted(encoded: Tensor) -> Tensor:
    file = io.BytesIO()
    Image.fromarray(255 - np.array(picture(encoded))).save(file, "PNG")
    return torch.frombuffer(bytearray(file.getvalue()), dtype=torch.uint8)
