"""Folders scored by a named protocol: values, aggregates, what is left out, every choice."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from jcdm.errors import CheckpointError, ConfigError, DataError
from jcdm.evaluation.parity.seeded import seeded_weights
from jcdm.evaluation.protocols import measuring
from jcdm.evaluation.protocols.networks import Networks, build_inception
from jcdm.evaluation.protocols.protocol import PROTOCOLS, Protocol
from jcdm.evaluation.protocols.results import ProtocolResult, Scoring, score_pictures
from jcdm.evaluation.protocols.scoring import Evaluation
from jcdm.evaluation.protocols.selection import Folders, select

SIZE = (64, 56)
NO_NETWORKS = Networks()


class Averages(nn.Module):
    """Stands for Inception: averages of fields of the prepared picture as 2048 features."""

    def __init__(self) -> None:
        super().__init__()
        mixing = torch.randn(3 * 81, 2048, generator=torch.Generator().manual_seed(0))
        self.mixing = nn.Parameter(mixing, requires_grad=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.adaptive_avg_pool2d(x[..., ::7, ::7], 9).flatten(1) @ self.mixing


class Difference(nn.Module):
    """Stands for LPIPS: a mean squared difference of cubes."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(1), requires_grad=False)

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        return self.gain * (first**3 - second**3).square().mean((1, 2, 3))


NETWORKS = Networks(inception=Averages(), perceptual=Difference())  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """Seven pairs, a result without truth, and nine reference pictures, two of them png."""
    root = tmp_path_factory.mktemp("scored")
    rng = np.random.default_rng(0)

    def save(path: Path, size: tuple[int, int], base: np.ndarray | None = None) -> np.ndarray:
        path.parent.mkdir(exist_ok=True)
        coarse = rng.random((9, 7, 3)) if base is None else base + 0.1 * rng.random((9, 7, 3))
        pixels = Image.fromarray((coarse.clip(0.2, 0.8) * 255).astype(np.uint8))
        pixels.resize(size, Image.Resampling.BICUBIC).save(path)
        return coarse

    for i in range(7):
        base = save(root / "truth" / f"p{i}.png", (70, 90))
        kind = "png" if i % 2 else "jpg"
        save(root / "generated" / f"pa_to_p{i}.{kind}", (90, 110), base)
    save(root / "generated" / "pa_to_px.png", (90, 110))
    for i in range(9):
        save(root / "reference" / f"r{i}.{'png' if i in (2, 5) else 'jpg'}", (60, 80))
    rows = [p.name for p in sorted((root / "generated").iterdir()) if "px" not in p.name]
    lines = [f"p{i}.png,{name}" for i, name in enumerate(rows)]
    (root / "pairs.csv").write_text("\n".join(["truth,raw", *lines]))
    return Folders(
        generated=root / "generated",
        truth=root / "truth",
        reference=root / "reference",
        pairs=root / "pairs.csv",
    )


def score(protocol: Protocol, folders: Folders, *names: str) -> ProtocolResult:
    scores = names or ("psnr", "ssim", "ssim_256", "lpips", "fid_exact")
    return run(protocol, folders, NETWORKS, scores)


def run(
    protocol: Protocol, folders: Folders, networks: Networks, scores: Sequence[str] | None = None
) -> ProtocolResult:
    scoring = Scoring(protocol=protocol, size=SIZE, networks=networks, names=scores)
    found = score_pictures(scoring, select(protocol, folders))
    assert found is not None
    return found


def test_pcdms_lists_drops_and_variances(folders: Folders) -> None:
    found = score(PROTOCOLS["pcdms"], folders, "psnr", "mae", "l1", "ssim_256", "ssim", "lpips")
    assert found.dropped["without_truth"] == ["pa_to_px.png"]
    assert len(found.per_pair["psnr"]) == 7 and found.per_pair["ssim"].dtype == np.float32
    assert found.aggregates["mae_variance"] == pytest.approx(found.per_pair["mae"].var())
    assert set(found.reported) == {
        f"{name}{end}" for name in ("psnr", "ssim_256", "mae", "l1") for end in ("", "_variance")
    }
    assert found.reported["psnr"] == round(found.aggregates["psnr"], 6)
    assert found.protocol["sigma"] == 1.2 and found.size == SIZE


def test_tails_are_dropped_and_the_shrunk_batch_stays(folders: Folders) -> None:
    small = replace(PROTOCOLS["pcdms"], fid_batch=5, lpips_batch=4)
    found = score(small, folders, "lpips", "fid_exact")
    assert found.lists["fid_real"][-2:] == ["r2.png", "r5.png"]
    assert found.dropped["fid_real"] == ["r7.jpg", "r8.jpg", "r2.png", "r5.png"]
    assert len(found.dropped["fid_generated"]) == 3
    assert len(found.per_pair["lpips"]) == 4 and len(found.dropped["lpips"]) == 3
    protocol = PROTOCOLS["pcdms"]
    evaluation = Evaluation(protocol, select(protocol, folders), SIZE)
    assert (evaluation.real_batches.batch_after, evaluation.generated_batches.batch_after) == (9, 8)


def test_cfld_uses_the_listed_pairs_and_jpg_references(folders: Folders) -> None:
    found = score(PROTOCOLS["cfld"], folders)
    assert len(found.lists["fid_generated"]) == 7
    assert not [name for name in found.lists["fid_real"] if name.endswith("png")]
    assert "psnr_variance" not in found.aggregates and "mae" not in found.per_pair
    assert found.dropped == {
        "without_truth": [],
        "lpips": [],
        "fid_real": [],
        "fid_generated": [],
    }


@pytest.mark.parametrize(
    ("name", "choice", "score_name"),
    [
        ("pcdms", {"truth_resize": "pillow_bicubic"}, "psnr"),
        ("pcdms", {"generated_resize": "pillow_bicubic"}, "psnr"),
        ("pcdms", {"sigma": 1.5}, "ssim_256"),
        ("pcdms", {"ssim_256_range": "fixed"}, "ssim_256"),
        ("pcdms", {"ssim_window": 31}, "ssim"),
        ("pcdms", {"fid_generated": "pairs"}, "fid_exact"),
        ("pcdms", {"by_suffix": False, "fid_batch": 8}, "fid_exact"),
        ("pcdms", {"fid_batch": 4}, "fid_exact"),
        ("pcdms", {"fid_drop_tail": False, "fid_batch": 4}, "fid_exact"),
        ("pcdms", {"inception_input": "symmetric"}, "fid_exact"),
        ("pcdms", {"lpips_batch": 4}, "lpips"),
        ("pcdms", {"lpips_range": "symmetric"}, "lpips"),
        ("cfld", {"generated_resize": "pillow_bicubic"}, "psnr"),
        ("cfld", {"reference_suffixes": (".jpg", ".png")}, "fid_exact"),
        ("cfld", {"lpips_range": "unit"}, "lpips"),
        ("cfld", {"sigma": 1.2}, "ssim_256"),
        ("strict", {"ssim_256_range": "generated"}, "ssim_256"),
        ("strict", {"inception_input": "renormalised"}, "fid_exact"),
    ],
)
def test_every_choice_changes_its_number(
    folders: Folders, name: str, choice: dict[str, object], score_name: str
) -> None:
    protocol = PROTOCOLS[name]
    if choice == {"by_suffix": False, "fid_batch": 8}:
        protocol = replace(protocol, fid_batch=8)
    if choice == {"fid_drop_tail": False, "fid_batch": 4}:
        protocol = replace(protocol, fid_batch=4)
    before = score(protocol, folders, score_name).aggregates[score_name]
    after = score(replace(protocol, **choice), folders, score_name).aggregates[score_name]  # type: ignore[arg-type]
    assert abs(after - before) > 1e-6 * abs(before)


def test_strict_scores_a_set_against_itself_as_0(folders: Folders) -> None:
    same = Folders(generated=folders.truth, truth=folders.truth, reference=folders.truth)
    found = score(PROTOCOLS["strict"], same, "fid", "ssim", "psnr", "lpips", "kid")
    assert found.aggregates["fid"] == pytest.approx(0, abs=1e-6)
    assert (found.aggregates["ssim"], found.aggregates["lpips"]) == (1, 0)
    assert found.aggregates["psnr"] == math.inf and math.isnan(found.aggregates["psnr_variance"])


def test_streamed_features_equal_the_whole(
    folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    protocol = PROTOCOLS["strict"]
    network = build_inception(seeded_weights("inception_v3", 1))
    lists = select(protocol, folders)
    few = replace(lists, real_files=lists.real_files[:5])
    whole = Evaluation(protocol, few, SIZE).real_features(network).features
    monkeypatch.setattr(measuring, "COMPUTE_BATCH", 2)
    monkeypatch.setattr(measuring, "CHUNK", 4)
    streamed = Evaluation(protocol, few, SIZE).real_features(network).features
    assert whole.shape == (5, 2048)
    np.testing.assert_allclose(streamed, whole, rtol=1e-4, atol=1e-5)


def test_a_flat_picture_poisons_the_published_mean_as_it_did(
    folders: Folders, tmp_path: Path
) -> None:
    for name in ("generated", "truth"):
        (tmp_path / name).mkdir()
    Image.new("RGB", SIZE[::-1], "grey").save(tmp_path / "generated" / "a_to_b.png")
    (tmp_path / "truth" / "b.png").write_bytes((folders.truth / "p0.png").read_bytes())
    flat = Folders(generated=tmp_path / "generated", truth=tmp_path / "truth")
    published = run(PROTOCOLS["pcdms"], flat, NO_NETWORKS)
    assert math.isnan(published.aggregates["ssim_256"])
    assert math.isnan(published.reported["ssim_256"])
    strict = run(PROTOCOLS["strict"], flat, NO_NETWORKS)
    assert math.isfinite(strict.aggregates["ssim_256"])


def test_scores_without_weights_are_left_out_with_a_note(folders: Folders) -> None:
    found = run(PROTOCOLS["pcdms"], folders, NO_NETWORKS)
    assert "lpips" not in found.aggregates and "fid" not in found.aggregates
    assert [note.split()[0] for note in found.notes] == ["lpips", "fid", "fid_exact", "kid"]
    with pytest.raises(CheckpointError, match="fid was asked for: no Inception-v3 weights"):
        run(PROTOCOLS["pcdms"], folders, NO_NETWORKS, ["fid"])
    with pytest.raises(CheckpointError, match="lpips was asked for: no AlexNet weights"):
        run(PROTOCOLS["pcdms"], folders, NO_NETWORKS, ["lpips"])
    with pytest.raises(ConfigError, match="'beauty' is none of protocol pcdms"):
        run(PROTOCOLS["pcdms"], folders, NO_NETWORKS, ["beauty"])
    unreferenced = replace(folders, reference=None)
    with pytest.raises(ConfigError, match="no folder of reference pictures"):
        run(PROTOCOLS["pcdms"], unreferenced, NETWORKS, ["fid"])


def test_one_reference_picture_is_too_few(folders: Folders, tmp_path: Path) -> None:
    Image.new("RGB", (60, 60)).save(tmp_path / "a.jpg")
    with pytest.raises(DataError, match="at least two pictures"):
        score(PROTOCOLS["pcdms"], replace(folders, reference=tmp_path), "fid_exact")
