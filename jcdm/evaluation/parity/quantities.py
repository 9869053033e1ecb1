"""Which computed number stands against which recorded one, and how far they may be apart."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
from einops import rearrange

from jcdm.compat.parity.comparison import Row
from jcdm.evaluation.parity.judging import judge, same
from jcdm.evaluation.parity.recomputed import RecomputedCase
from jcdm.evaluation.parity.tolerances import RecordedTolerances
from jcdm.evaluation.protocols.frechet import mean_term
from jcdm.evaluation.protocols.inception import NUM_FEATURES

Found = Callable[[RecomputedCase, str], Any]

WORDS: Mapping[str, Found] = {
    "fid_real_order": lambda case, _: _names(case.evaluation.selection.real_files),
    "fid_generated_order": lambda case, _: _names(case.evaluation.selection.generated_files),
    "fid_real_dropped": lambda case, _: _names(
        case.evaluation.selection.real_files[case.evaluation.real_batches.num_used :]
    ),
    "fid_generated_dropped": lambda case, _: _names(
        case.evaluation.selection.generated_files[case.evaluation.generated_batches.num_used :]
    ),
    "fid_batches/*/*": lambda case, key: _batches(case)[key],
    "batches": lambda case, _: case.evaluation.generated_batches.sizes,
    "n_real": lambda case, _: case.evaluation.real_batches.num_used,
    "n_generated": lambda case, _: case.evaluation.generated_batches.num_used,
    "pairs": lambda case, _: _pairs(case),
    "lpips_dropped": lambda case, _: [
        pair.generated.name
        for pair in case.evaluation.selection.pairs[case.evaluation.lpips_batches.num_used :]
    ],
    "lpips_dtype": lambda case, _: f"torch.{case.per_image('lpips').dtype}",
    "per_image_dtype/*": lambda case, key: str(case.per_image(key).dtype),
    "*/mu_dtype": lambda case, key: case.statistics(key)["mu_dtype"],
    "*/sigma_dtype": lambda case, key: case.statistics(key)["sigma_dtype"],
    "sqrtm_info/dtype": lambda case, _: case.root.dtype,
    "sqrtm_info/finite": lambda case, _: case.root.finite,
    "edge/files": lambda case, _: _edge_files(case),
    "truth_uint8": lambda case, _: case.resized_bytes("truth"),
    "generated_uint8": lambda case, _: case.resized_bytes("generated"),
}
"""What must be equal, by its path in a case; a function is told the part that a * stands for."""

NUMBERS: Mapping[str, tuple[Found, str]] = {
    "fid": (lambda case, _: case.root.fid, "fid_same_method_abs"),
    "fid_exact": (lambda case, _: case.control("reference_vs_generated"), "fid_exact_abs"),
    "mean_term": (lambda case, _: mean_term(*case.features.values()), "fid_exact_abs"),
    "sqrtm_info/trace_real": (lambda case, _: case.root.trace, "fid_same_method_abs"),
    "control_fid_exact/*": (lambda case, key: case.control(key), "fid_exact_abs"),
    "other_environment/fid": (lambda case, _: case.root.fid, "fid_same_method_abs"),
    "other_environment/fid_exact": (
        lambda case, _: case.control("reference_vs_generated"),
        "fid_exact_abs",
    ),
    "other_environment/lpips": (lambda case, _: case.aggregates("lpips"), "lpips_abs"),
    "per_image/*": (lambda case, key: case.per_image(key), "per image"),
    "aggregate/*": (lambda case, key: case.aggregates(key), "aggregate"),
    "aggregate_reported/*": (lambda case, key: case.reported(key), "reported"),
    "edge/per_image/*": (lambda case, key: case.per_image(key, at_edge=True), "per image"),
    "edge/aggregate/*": (lambda case, key: case.reported(key, at_edge=True), "reported"),
}
"""Numbers, and the name of their tolerance, or of the rule that finds it."""

_SCALES: Mapping[str, tuple[Callable[[np.ndarray], np.ndarray], str]] = {
    "mu_sum": (lambda x: x / NUM_FEATURES, "mu_abs"),
    "mu_sq": (lambda x: np.sqrt(x / NUM_FEATURES), "mu_abs"),
    "mu_first8": (lambda x: x, "mu_abs"),
    "sigma_trace": (lambda x: x, "variance_rel"),
    "sigma_frob": (lambda x: x, "variance_rel"),
    "sigma_sum": (lambda x: x, "variance_rel"),
    "sigma_block4": (lambda x: x, "sigma_diag_abs"),
}
"""Summaries of a side's statistics, brought to the size of one entry, whose tolerance is stated."""


class Quantities:
    """Makes the rows of one case. Errors: DataError where a tolerance lacks."""

    def __init__(self, case: RecomputedCase, tolerances: RecordedTolerances) -> None:
        self.case, self.tolerances = case, tolerances

    def row(self, path: str, recorded: Any) -> Row | None:
        """Compare a quantity, by its path inside the case; None for one that nothing computes."""
        name = f"{self.case.name}/{path}"
        side, _, summary = path.partition("/")
        if summary in _SCALES and side in ("real", "generated"):
            scale, tolerance = _SCALES[summary]
            found = np.asarray(self.case.statistics(side)[summary])
            return judge(
                name, scale(found), scale(np.asarray(recorded)), self.tolerances.named(tolerance)
            )
        if path.startswith("resized_"):
            return self._floats(name, path, recorded)
        for pattern, (compute, rule) in NUMBERS.items():
            if fnmatchcase(path, pattern):
                key = path.rpartition("/")[2]
                return judge(
                    name, compute(self.case, key), recorded, self.tolerances.of(rule, key, recorded)
                )
        for pattern, words in WORDS.items():
            if fnmatchcase(path, pattern):
                key = path.partition("/")[0 if pattern.startswith("*/") else 2]
                return same(name, words(self.case, key), recorded)
        return None

    def array_row(self, key: str, recorded: np.ndarray) -> Row | None:
        """Compare a recorded array, by its name inside the case; None for an unknown one."""
        name = f"intermediates/{self.case.name}_{key}"
        if key in _CORNERS:
            found, tolerance = self._crops(key, recorded), "resized_float_abs"
        elif key in _ARRAYS:
            found, tolerance = self.case.array(key), _ARRAYS[key]
            found = found[: len(recorded)] if key.startswith("feat") else found
        else:
            return None
        return judge(name, found, recorded, self.tolerances.named(tolerance))

    def _crops(self, key: str, recorded: np.ndarray) -> np.ndarray:
        """Cut the recorded window out of the resized pictures, channels first."""
        (top, left), (height, width) = _CORNERS[key], recorded.shape[-2:]
        evaluation = self.case.evaluation
        folder = evaluation.selection.generated_files[0].parent
        files = [folder / name for name in self.case.crop_files]
        pictures = np.stack([evaluation.read_generated(file) for file in files])
        windows = pictures[:, top : top + height, left : left + width]
        return rearrange(windows, "n h w c -> n c h w")

    def _floats(self, name: str, path: str, recorded: Any) -> Row | None:
        """Compare sums (as means), least and largest values of resized pictures, in their order."""
        evaluation = self.case.evaluation
        generated = path == "resized_generated"
        if not generated and not path.startswith("resized_reference"):
            return None
        lists = evaluation.selection
        files = lists.generated_files if generated else lists.real_files[: len(recorded)]
        if (order := _names(files)) != [entry["file"] for entry in recorded]:
            return same(name, order, [entry["file"] for entry in recorded])
        read = evaluation.read_generated if generated else evaluation.read_truth
        pictures = [read(path) for path in files]
        size = float(np.prod(pictures[0].shape))
        found = [[p.mean(dtype=np.float64), p.min(), p.max()] for p in pictures]
        golden = [[entry["sum"] / size, entry["min"], entry["max"]] for entry in recorded]
        return judge(name, found, golden, self.tolerances.named("resized_float_abs"))


_CORNERS = {"crop_tl": (0, 0), "crop_mid": (100, 60)}  # row, column
_ARRAYS = {
    "mu_real": "mu_abs",
    "mu_generated": "mu_abs",
    "diag_real": "sigma_diag_abs",
    "diag_generated": "sigma_diag_abs",
    "feat_real": "feature_abs",
    "feat_generated": "feature_abs",
}


def _names(files: Sequence[Path]) -> list[str]:
    return [path.name for path in files]


def _pairs(case: RecomputedCase) -> list[list[str]]:
    """Name the pairs; a list of pairs has the truth first, names that tell it the result."""
    names = [[pair.generated.name, pair.truth.name] for pair in case.evaluation.selection.pairs]
    if case.evaluation.protocol.pairing == "listed":
        return [pair[::-1] for pair in names]
    return names


def _edge_files(case: RecomputedCase) -> list[str]:
    """Name the corner cases, by their result or, where pairs are listed, by their truth."""
    listed = case.edge.protocol.pairing == "listed"
    return [(pair.truth if listed else pair.generated).name for pair in case.edge.selection.pairs]


def _batches(case: RecomputedCase) -> dict[str, Any]:
    """Flatten the batches of FID's two sides, and the types before and after."""
    sides = {"real": case.evaluation.real_batches, "generated": case.evaluation.generated_batches}
    found: dict[str, Any] = {}
    for side, batching in sides.items():
        values = asdict(batching)
        values["n_images"], values["n_used"] = batching.num_images, batching.num_used
        values["dtype_in"] = str(case.features[side].features.dtype)
        values["dtype_out"] = case.evaluation.protocol.fid_mean_dtype
        found |= {f"{side}/{key}": value for key, value in values.items()}
    return found
