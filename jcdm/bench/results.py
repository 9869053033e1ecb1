"""What a benchmark finds: rows with a line for people each, and a JSON file of all of them."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

from jcdm.manifest import origin

NAME_WIDTH = 56
DRAWN = {"made_by": "the benchmark itself, from fixed seeds; weights are random"}


class Row(Protocol):
    """One result: a dataclass with a line for people."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def line(self) -> str:
        """What is printed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One number with its unit."""

    name: str
    value: float
    unit: str

    @property
    def line(self) -> str:
        """One line for people."""
        return f"{self.name:{NAME_WIDTH}} {self.value:12.4g} {self.unit}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """A number that ought to be at least, or at most, a bound."""

    name: str
    value: float
    bound: float
    at_least: bool = True

    @property
    def is_met(self) -> bool:
        """Whether the number keeps to the bound."""
        return self.value >= self.bound if self.at_least else self.value <= self.bound

    @property
    def line(self) -> str:
        """One line for people."""
        sign = ">=" if self.at_least else "<="
        verdict = "met" if self.is_met else "NOT met"
        return f"{self.name:{NAME_WIDTH}} {self.value:12.4g} goal {sign} {self.bound:g}: {verdict}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """Seconds that the parts of a step take, timed apart, in their order; medians of repeats.

    whole: seconds of the step in one go, which the sum of the parts should be near to.
    """

    name: str
    seconds: Mapping[str, float]
    whole: float

    def share(self, *parts: str) -> float:
        """Share of some parts in the sum of all, 0..1."""
        return sum(self.seconds[part] for part in parts) / sum(self.seconds.values())

    @property
    def line(self) -> str:
        """A line a part, for people."""
        total = sum(self.seconds.values())
        rows = [f"{self.name}: {total:.4g} s timed apart, {self.whole:.4g} s in one go"]
        for part, seconds in self.seconds.items():
            rows.append(
                f"  {part:{NAME_WIDTH - 2}} {1000 * seconds:12.4g} ms {seconds / total:7.1%}"
            )
        return "\n".join(rows)


def write_results(file: Path, word: str, rows: Iterable[Row], **settings: Any) -> None:
    """Write rows with code, hardware and versions as JSON. settings: how they were measured."""
    document = {
        "bench": word,
        "settings": settings,
        "rows": [_plain(row) for row in rows],
        **origin(settings, seed=0, data=DRAWN, weights={}),
    }
    file.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def _plain(row: Row) -> dict[str, Any]:
    content = {"kind": type(row).__name__.lower(), **asdict(row)}
    return content | {"is_met": row.is_met} if isinstance(row, Goal) else content
