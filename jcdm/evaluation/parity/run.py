"""Recompute every recorded metric number, a row each, and count what was not recomputed."""

import re
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from jcdm.compat.parity.comparison import Row, failure
from jcdm.compat.parity.run import Report
from jcdm.errors import DataError
from jcdm.evaluation.parity.judging import judge, same
from jcdm.evaluation.parity.quantities import Quantities
from jcdm.evaluation.parity.recomputed import RecomputedCase, SeededNetworks
from jcdm.evaluation.parity.recorded import EXPECTED, MetricFolder
from jcdm.evaluation.parity.tolerances import RecordedTolerances

INPUTS = {
    "format": "the layout of the record",
    "tolerances/*": "an input, of the comparisons",
    "weights/set_seed": "an input, of the networks",
    "environment_*": "versions that the numbers were recorded with",
    "*/size": "an input, of the resizing",
    "*/crop_files": "an input, of the crops",
    "*/sqrtm_info/max_imag": "rounding noise of the square root, whose true value is 0",
}
"""Recorded entries, by pattern, that no row compares, and why."""

_RESIZED = re.compile(r"resized_(\w+)/(truth|generated)_(\d+)\.png")


def run_metric_parity(folder: Path) -> Report:
    """Compare everything that a folder of recorded metric numbers lists. Errors: DataError."""
    recorded = MetricFolder(folder)
    comparison = Comparison(recorded)
    rows: list[Row] = []
    missing = _missing_arrays(recorded)
    for name, row in comparison.rows():
        if row is None:
            missing[name] = "recorded, but computed by no comparison"
        else:
            rows.append(row)
    return Report(rows=tuple(rows), missing=missing)


class Comparison:
    """Asks the case that a recorded name belongs to for its row; what is computed is kept."""

    def __init__(self, recorded: MetricFolder) -> None:
        self.recorded = recorded
        seed = recorded.expected.get("weights", {}).get("set_seed")
        if not isinstance(seed, int):
            raise DataError(f"{EXPECTED} has weights.set_seed {seed!r}; expected a whole number.")
        self.networks = SeededNetworks(seed)
        self.tolerances = RecordedTolerances(recorded.expected["tolerances"])
        self._quantities: dict[str, Quantities] = {}

    def rows(self) -> Iterator[tuple[str, Row | None]]:
        """Yield each recorded name with its row, or None where nothing computes it."""
        for path, value in self.recorded.leaves():
            if not any(fnmatchcase(path, pattern) for pattern in INPUTS):
                yield path, _guard(path, self._number, value)
        for name, array in self.recorded.arrays.items():
            path = f"intermediates/{name}"
            yield path, _guard(path, self._array, array)
        for picture in self.recorded.resized_pictures():
            yield _short(picture), _guard(_short(picture), self._picture, picture)

    def case(self, name: str) -> Quantities:
        """Return the computations of a case, which are kept."""
        if name not in self._quantities:
            case = RecomputedCase(self.recorded, name, self.networks)
            self._quantities[name] = Quantities(case, self.tolerances)
        return self._quantities[name]

    def _number(self, path: str, value: Any) -> Row | None:
        first, _, rest = path.partition("/")
        if first in self.recorded.cases:
            return self.case(first).row(rest, value)
        if first != "weights":
            return None
        network, _, fact = rest.partition("/")
        facts = self.networks.facts(network)
        if fact.startswith("spots/"):
            spot = facts["spots"].get(fact.removeprefix("spots/"), [])
            return judge(path, spot, value)
        return same(path, facts[fact], value) if fact in facts else None

    def _array(self, path: str, array: np.ndarray) -> Row | None:
        name = path.removeprefix("intermediates/")
        for case in self.recorded.cases:
            if name.startswith(f"{case}_"):
                return self.case(case).array_row(name.removeprefix(f"{case}_"), array)
        return None

    def _picture(self, name: str, path: Path) -> Row | None:
        match = _RESIZED.fullmatch(name)
        if match is None or match[1] not in self.recorded.cases:
            return None
        found = self.case(match[1]).case.eight_bits(match[2], int(match[3]))
        with Image.open(path) as picture:
            return judge(name, found, np.asarray(picture.convert("RGB")))


def _guard(name: str, compare: Callable[[str, Any], Row | None], value: Any) -> Row | None:
    """Make a failed row of whatever a damaged folder raises."""
    try:
        return compare(name, value)
    except Exception as error:
        return failure(name, f"{type(error).__name__}: {error}")


def _short(picture: Path) -> str:
    return f"{picture.parent.name}/{picture.name}"


def _missing_arrays(recorded: MetricFolder) -> dict[str, str]:
    reason = recorded.array_problem or "not in the file of arrays"
    names = [name for name in recorded.required_arrays() if name not in recorded.arrays]
    return {f"intermediates/{name}": reason for name in names}
