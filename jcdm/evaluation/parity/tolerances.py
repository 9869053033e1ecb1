"""The recorded tolerances: by name, and for the scores of a pair, of a set, of a summary line."""

import math
from collections.abc import Mapping
from typing import Any

from jcdm.compat.parity.comparison import Tolerance
from jcdm.errors import DataError

_REPORTED_UNIT = 1e-6  # of the last decimal that the published scripts print
_RELATIVE = "_rel"  # how the name of a relative tolerance ends
_VARIANCE = "_variance"  # how the name of a variance over pairs ends
RULES = ("per image", "aggregate", "reported")


class RecordedTolerances:
    """Finds tolerances in what the record names. Errors: DataError where one is not there."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = values

    def named(self, name: str) -> Tolerance:
        """Return a tolerance by its name: of a share of an entry if that ends in _rel."""
        return _within(self._value(name), relative=name.endswith(_RELATIVE))

    def of(self, rule: str, score: str, recorded: Any) -> Tolerance:
        """Return the tolerance of a score under one of `RULES`, or under a tolerance's name.

        A reported number may be one more unit of its last decimal away: it was rounded.
        """
        if rule not in RULES:
            return self.named(rule)
        if score.endswith(_VARIANCE):
            share = self._value("variance_rel")
            if rule == "aggregate":
                return _within(share, relative=True)
            size = abs(float(recorded))
            return _within(_REPORTED_UNIT + (share * size if math.isfinite(size) else 0))
        if rule == "per image" and score.startswith("ssim"):
            return self.named("ssim_per_image_abs")
        bound = self._value(f"{score}_abs")
        return _within(bound + _REPORTED_UNIT if rule == "reported" else bound)

    def _value(self, name: str) -> float:
        value = self.values.get(name)
        if not isinstance(value, int | float):
            raise DataError(
                f"tolerance {name!r} is {value!r}; expected a number beside the others."
            )
        return float(value)


def _within(bound: float, *, relative: bool = False) -> Tolerance:
    return Tolerance(kind="entrywise" if relative else "max-abs", bound=bound)
