"""Dataclasses as plain values and as YAML, for the files that a run writes, and back."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

HUB_PREFIX = "hub:"
T = TypeVar("T")


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


def from_plain(kind: type[T], value: Any) -> T:
    """Make a dataclass of what a JSON or YAML file holds, each value of the kind its field names.

    Lists become tuples; a float may be written as a whole number. Errors: ValueError in one line
    that names the key.
    """
    return _typed(kind, value, kind.__name__)


def _typed(hint: Any, value: Any, key: str) -> Any:
    origin, inner = get_origin(hint) or hint, get_args(hint)
    if is_dataclass(origin):
        return _made(origin, value, key)
    if origin in (Union, UnionType):
        return _first_fitting(inner, value, key)
    if origin is Literal and value in inner:
        return value
    if origin is tuple and isinstance(value, list) and inner[1:] == (...,):
        return tuple(_typed(inner[0], item, key) for item in value)
    if origin is tuple and isinstance(value, list) and len(value) == len(inner):
        return tuple(_typed(h, item, key) for h, item in zip(inner, value, strict=True))
    if origin is Sequence and isinstance(value, list):
        return tuple(_typed(inner[0], item, key) for item in value)
    if origin in (Mapping, dict) and isinstance(value, dict) and all(map(_is_word, value)):
        return {name: _typed(inner[1], item, f"{key}.{name}") for name, item in value.items()}
    if origin is float and type(value) in (int, float):
        return float(value)
    if origin is Path and isinstance(value, str):
        return Path(value)
    if origin is Any or (origin in (str, int, bool, NoneType) and type(value) is origin):
        return value
    raise ValueError(f"{key} is {ascii(value)[:60]}, expected {getattr(hint, '__name__', hint)}")


def _is_word(key: Any) -> bool:
    return isinstance(key, str)


def _first_fitting(hints: Sequence[Any], value: Any, key: str) -> Any:
    reasons = []
    for hint in hints:
        try:
            return _typed(hint, value, key)
        except ValueError as error:
            reasons.append(str(error))
    raise ValueError(reasons[0])


def _made(kind: Any, value: Any, key: str) -> Any:
    if not isinstance(value, dict):
        raise ValueError(f"{key} is {ascii(value)[:60]}, expected an object")
    known = {f.name: f for f in fields(kind)}
    if unknown := [name for name in value if name not in known]:
        raise ValueError(f"{key} has the unknown key {unknown[0]!a}")
    for name, field in known.items():
        required = field.default is MISSING and field.default_factory is MISSING
        if required and name not in value:
            raise ValueError(f"{key} lacks the key {name!r}")
    hints = _hints(kind)
    return kind(**{name: _typed(hints[name], item, name) for name, item in value.items()})


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)
