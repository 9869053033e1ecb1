"""Configuration trees as plain values and as YAML, for the files that a run writes."""

import os
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import yaml

HUB_PREFIX = "hub:"


def to_plain(value: Any, folder: Path | None = None) -> Any:
    """Turn dataclasses, tuples and paths into what YAML and JSON can hold.

    With `folder`, paths are written relative to it, as a configuration file there would name them;
    names of hub repositories stay as they are.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_plain(getattr(value, f.name), folder) for f in fields(value)}
    if isinstance(value, tuple):
        return [to_plain(item, folder) for item in value]
    if not isinstance(value, Path):
        return value
    if folder is None or str(value).startswith(HUB_PREFIX):
        return str(value)
    return os.path.relpath(value, folder)


def to_yaml(config: object, folder: Path | None = None) -> str:
    """Write a configuration tree as YAML that is read back, from `folder`, to an equal tree."""
    return yaml.safe_dump(to_plain(config, folder), sort_keys=False)


def leaves(tree: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Walk through a tree of mappings: every value that is none, under its dotted name."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
