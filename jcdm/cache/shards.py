"""Files of a cache that appear whole or not at all, and say themselves what they are made of."""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from jcdm.reading import UnreadableError, parse_json

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
_PARTIAL = re.compile(r"\..+\.\d+|\.tmp\w{6}")  # ours, and those of safetensors
_FACTS = "jcdm"  # one key: the format keeps several in no fixed order


def file_hash(file: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def read_facts(file: Path) -> dict[str, Any]:
    """Read what a shard says of itself; nothing of one that is absent or damaged."""
    try:
        with safe_open(file, framework="pt") as opened:
            facts = parse_json((opened.metadata() or {}).get(_FACTS, "{}"))
            return facts if isinstance(facts, dict) else {}
    except (OSError, SafetensorError, UnreadableError):
        return {}


def write_shard(file: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Write tensors, and what the shard says of itself."""
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
    save_file(whole, partial, {_FACTS: json.dumps(facts)})
    partial.chmod(0o666 & ~_umask())
    os.replace(partial, file)


def write_text(file: Path, text: str) -> None:
    """Write a text file."""
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, file)


def remove_partials(folder: Path) -> None:
    """Remove files that killed processes were writing; no other process may be writing now."""
    for file in folder.iterdir():
        if _PARTIAL.fullmatch(file.name):
            file.unlink()


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
