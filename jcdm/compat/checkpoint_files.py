"""Published weight files, as they are, to one state dict: .safetensors, .pth, .pt, .ckpt, .bin.

No constructor named in a file is called (`restricted_pickle`), and a damaged file is refused.
"""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from jcdm.compat import restricted_pickle
from jcdm.errors import CheckpointError

BESIDE = "jcdm"  # entry beside the weights, for ours that the published layout has no name for
WRAPPERS = ("module", "state_dict")  # DeepSpeed; Lightning and single-file Stable Diffusion
PARALLEL_PREFIX = "module."
PICKLE_START = b"\x80"


def read_checkpoint(path: Path, *, compare_checksums: bool = True) -> dict[str, Tensor]:
    """Read the tensors of a weight file to the CPU, by name.

    A DeepSpeed or Lightning file is unwrapped, the `module.` of parallel training dropped. Zip
    files (torch.save since 1.6) are mapped, not read, once their checksums have been compared; the
    other formats carry none, so that a changed number in them cannot be noticed here.
    compare_checksums: False for a file that has been read before.
    Errors: CheckpointError for a file that is missing, damaged or holds no tensors.
    """
    return _state_dict(_read(path, compare_checksums), path)


def _read(path: Path, compare_checksums: bool) -> Any:
    """Read what a file holds, a damaged one ending in a CheckpointError."""
    if not path.is_file():
        raise CheckpointError(f"{path} not found; expected a weight file. Check the path.")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return _read_pickled(path, compare_checksums)
    except CheckpointError:
        raise
    except Exception as error:  # a damaged pickle can raise anything
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise CheckpointError(
            f"{path} cannot be read: {reason}. Expected a whole weight file; download or copy it "
            "again."
        ) from error


def read_beside(path: Path) -> dict[str, Tensor]:
    """Read the weights that this project's export puts beside the published ones, by our names.

    Empty for every other file. Errors: as `read_checkpoint`.
    """
    if path.suffix == ".safetensors":
        return {}
    content = _read(path, compare_checksums=False)
    held = content.get(BESIDE) if isinstance(content, Mapping) else None
    if not isinstance(held, Mapping):
        return {}
    return {str(name): tensor for name, tensor in held.items() if isinstance(tensor, Tensor)}


def _read_pickled(path: Path, compare_checksums: bool) -> Any:
    options: dict[str, Any] = {"map_location": "cpu", "weights_only": False}
    if zipfile.is_zipfile(path):
        _refuse_compressed(path)
        if compare_checksums:
            _compare_checksums(path)
        return torch.load(path, mmap=True, pickle_module=restricted_pickle, **options)
    with path.open("rb") as file:
        start = file.read(1)
    if start != PICKLE_START:
        raise CheckpointError(
            f"{path} is no weight file: neither a zip file nor a pickle of tensors. Expected "
            ".safetensors, or what torch.save writes."
        )
    return torch.load(path, pickle_module=restricted_pickle, **options)


def _refuse_compressed(path: Path) -> None:
    """Refuse packed entries: torch.save makes none, and a few bytes of them can fill any memory."""
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            if entry.compress_type != zipfile.ZIP_STORED:
                raise CheckpointError(
                    f"{path}: {entry.filename!r} in it is compressed, expected entries as "
                    "torch.save stores them. Download the file again from its source."
                )


def _compare_checksums(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        if (damaged := archive.testzip()) is not None:
            raise CheckpointError(
                f"{path} is damaged: the checksum of {damaged!r} in it differs. Download or copy "
                "the file again."
            )


def _state_dict(content: Any, path: Path) -> dict[str, Tensor]:
    for name in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
            content = content[name]
    tensors = {
        key: value
        for key, value in (content.items() if isinstance(content, Mapping) else ())
        if isinstance(key, str) and isinstance(value, Tensor)
    }
    if not tensors:
        raise CheckpointError(
            f"{path} holds no named tensors; expected a state dict, alone or as 'module' or "
            "'state_dict'. Check which file this is."
        )
    if all(key.startswith(PARALLEL_PREFIX) for key in tensors):
        return {key.removeprefix(PARALLEL_PREFIX): value for key, value in tensors.items()}
    return tensors
