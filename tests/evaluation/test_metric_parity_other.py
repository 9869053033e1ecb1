"""Nothing in the metric comparison is tied to one set of names, counts, sizes or seeds.

The record is made by our own evaluation; whether its numbers are right is not asked here.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from jcdm.compat.parity.run import Report
from jcdm.evaluation.parity.recomputed import SeededNetworks
from jcdm.evaluation.parity.recorded import MetricFolder
from jcdm.evaluation.parity.run import run_metric_parity
from jcdm.evaluation.protocols.networks import Networks
from jcdm.evaluation.protocols.results import Scoring, score_pictures

SEED, SIZE = 77, (60, 72)  # height, width
TOLERANCES = {
    "fid_exact_abs": 1e-3,
    "lpips_abs": 2e-6,
    "ssim_abs": 5e-7,
    "ssim_256_abs": 2e-6,
    "psnr_abs": 1e-4,
    "mae_abs": 2e-6,
    "l1_abs": 2e-6,
    "variance_rel": 1e-4,
    "feature_abs": 1e-4,
    "mu_abs": 2e-5,
    "sigma_diag_abs": 1e-4,
    "ssim_per_image_abs": 1e-5,
}
SCORES = {
    "pcdms_60": ["psnr", "ssim", "ssim_256", "mae", "l1", "lpips", "fid_exact"],
    "cfld_60": ["psnr", "ssim", "ssim_256", "lpips", "fid_exact"],
}


def draw(folder: Path, *names: str) -> None:
    folder.mkdir(exist_ok=True)
    for i, name in enumerate(names):
        rng = np.random.default_rng(len(str(name)) + 10 * i)
        pixels = Image.fromarray(rng.integers(0, 256, (9, 11, 3), dtype=np.uint8))
        pixels.resize((80 + 7 * i, 66), Image.Resampling.BICUBIC).save(folder / name)


def record(folder: Path, case: str, networks: Networks) -> dict[str, Any]:
    """Record what a case is expected to give, from one call."""
    evaluation = MetricFolder(folder).evaluation(case)
    protocol = evaluation.protocol
    scoring = Scoring(protocol=protocol, size=SIZE, networks=networks, names=SCORES[case])
    found = score_pictures(scoring, evaluation.selection)
    assert found is not None
    values = dict(found.aggregates)
    return {
        "size": [SIZE[1], SIZE[0]],
        "fid_exact": values.pop("fid_exact"),
        "aggregate": values,
        "per_image": {name: scores.tolist() for name, scores in found.per_pair.items()},
        "fid_real_order": found.lists["fid_real"],
    }


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    folder = tmp_path_factory.mktemp("other")
    draw(folder / "reference_60", "one.jpg", "two.png", "three.jpg")
    draw(folder / "truth_60", "zA.png", "zB.png")
    draw(folder / "generated_60", "z_to_zA.jpg", "z_to_zB.png", "z_to_zC.png")
    draw(folder / "raw_60", "a.png", "b.png")
    (folder / "pairs_60.csv").write_text("truth,raw\nzB.png,a.png\nzA.png,b.png\n")
    expected: dict[str, Any] = {"tolerances": TOLERANCES, "weights": {"set_seed": SEED}}
    path = folder / "expected.json"
    seeded = SeededNetworks(SEED)
    networks = Networks(inception=seeded.inception, perceptual=seeded.perceptual)
    for case in SCORES:
        expected[case] = {"size": [SIZE[1], SIZE[0]]}
        path.write_text(json.dumps(expected))
        expected[case] = record(folder, case, networks)
    path.write_text(json.dumps(expected))
    return run_metric_parity(folder)


def test_another_set_is_met(report: Report) -> None:
    assert not [str(row) for row in report.rows if not row.passed]
    names = {row.name for row in report.rows}
    assert {"pcdms_60/fid_exact", "cfld_60/per_image/lpips", "pcdms_60/aggregate/mae"} <= names


def test_a_set_without_arrays_misses_none_it_does_not_need(report: Report) -> None:
    assert not report.missing
