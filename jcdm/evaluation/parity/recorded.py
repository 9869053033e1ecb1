"""A folder of recorded metric numbers: its JSON, its arrays, and the folders of each case."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jcdm.errors import DataError
from jcdm.evaluation.protocols.pictures import Size
from jcdm.evaluation.protocols.protocol import PROTOCOLS, Protocol
from jcdm.evaluation.protocols.scoring import Evaluation
from jcdm.evaluation.protocols.selection import Folders, select
from jcdm.reading import read_object

EXPECTED, ARRAYS = "expected.json", "intermediates.npz"
_GENERATED = {"pcdms": "generated", "cfld": "raw"}  # folder names of a protocol's results
_ARRAY_NAMES = [
    f"{kind}_{side}" for kind in ("mu", "diag", "feat") for side in ("real", "generated")
]


class MetricFolder:
    """Recorded numbers by path, `case/quantity/...`; a list of numbers is one quantity.

    Errors: DataError for a folder without a readable expected.json.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.expected = _read_expected(folder / EXPECTED)
        self.arrays, self.array_problem = _read_arrays(folder / ARRAYS)
        self.cases: dict[str, Protocol] = {
            name: PROTOCOLS[name.partition("_")[0]]
            for name, values in self.expected.items()
            if name.partition("_")[0] in _GENERATED and isinstance(values, dict)
        }

    def leaves(self) -> Iterator[tuple[str, Any]]:
        """Yield every recorded quantity of expected.json."""
        yield from _leaves(self.expected, "")

    def required_arrays(self) -> list[str]:
        """Names that the arrays must have for the recorded cases."""
        measured = [case for case in self.cases if "fid" in self.expected[case]]
        found = [f"{case}_{name}" for case in measured for name in _ARRAY_NAMES]
        cropped = [case for case in self.cases if "crop_files" in self.expected[case]]
        return found + [f"{case}_{name}" for case in cropped for name in ("crop_tl", "crop_mid")]

    def resized_pictures(self) -> list[Path]:
        """List the recorded 8-bit pictures of all cases."""
        return sorted(self.folder.glob("resized_*/*.png"))

    def size(self, case: str) -> Size:
        """Return a case's (height, width). Errors: DataError."""
        match self.expected[case].get("size"):
            case [int() as width, int() as height]:
                return height, width
        raise DataError(f"{EXPECTED} names no size of {case}; expected [width, height].")

    def evaluation(self, case: str) -> Evaluation:
        """Set up a case's protocol on the recorded pictures."""
        protocol, suffix = self.cases[case], case.partition("_")[2]
        folders = Folders(
            generated=self.folder / f"{_GENERATED[protocol.name]}_{suffix}",
            truth=self.folder / f"truth_{suffix}",
            reference=self.folder / f"reference_{suffix}",
            pairs=self.folder / f"pairs_{suffix}.csv",
        )
        return Evaluation(protocol, select(protocol, folders), self.size(case))

    def edge_evaluation(self, case: str) -> Evaluation:
        """Set up a case's protocol on the corner cases."""
        folders = Folders(
            generated=self.folder / "edge_generated", truth=self.folder / "edge_truth"
        )
        protocol = self.cases[case]
        return Evaluation(protocol, select(protocol, folders), self.size(case))


def _read_expected(path: Path) -> dict[str, Any]:
    hint = "Point --metric_fixtures at a folder of recorded metric numbers."
    if not path.is_file():
        raise DataError(f"{path} not found; expected the list of recorded numbers. {hint}")
    content = read_object(path, DataError, hint)
    if not isinstance(content.get("tolerances"), dict):
        raise DataError(f"{path} lists no tolerances; expected them beside the cases. {hint}")
    if not any(name.partition("_")[0] in _GENERATED for name in content):
        known = ", ".join(f"{name}_..." for name in _GENERATED)
        raise DataError(f"{path} holds no case; expected some of {known}. {hint}")
    return content


def _read_arrays(path: Path) -> tuple[Mapping[str, np.ndarray], str]:
    """Read the arrays; where that fails, none of them and the reason."""
    if not path.is_file():
        return {}, "not in the folder"
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}, ""
    except Exception as error:  # a damaged archive raises almost anything
        return {}, f"cannot be read: {error}"


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, dict):
        yield path, value
        return
    for key, inner in value.items():
        yield from _leaves(inner, f"{path}/{key}" if path else key)
