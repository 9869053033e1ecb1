"""Say what a cache was made for, where that is not what a run asks for."""

from collections.abc import Iterable, Mapping
from typing import Any

_SHOWN = 3


def name_differences(found: Mapping[str, Any], expected: Mapping[str, Any]) -> str:
    """Name the first three keys whose values differ, with both values; empty where none does."""
    names: Iterable[str] = dict.fromkeys([*expected, *found])
    different = [name for name in names if found.get(name) != expected.get(name)]
    return "; ".join(
        f"{name} {_short(found.get(name))}, this run has {_short(expected.get(name))}"
        for name in different[:_SHOWN]
    )


def _short(value: object) -> str:
    text = str(value)
    return text[:12] + "..." if len(text) > 40 else text
