"""Loader, processes and computed tables."""

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from jcdm.bench import full_cost, loading, processes, sampling_memory, tables
from jcdm.bench.flops import step_flops
from jcdm.bench.full_cost import cache_bytes, full_size, run_cost, training_peak
from jcdm.bench.loading import build_cache, drawn_index, measure_waiting, open_people
from jcdm.bench.models import build_clip, build_vae
from jcdm.bench.sampling_memory import sampling_peak
from jcdm.bench.sizes import TINY

VIEW = (TINY.height, TINY.width)


@pytest.fixture(scope="module")
def index() -> Iterator[Path]:
    with drawn_index(VIEW, 2) as found:
        yield found


def test_drawn_people_are_gone_afterwards() -> None:
    with drawn_index(VIEW, 2) as index:
        assert index.is_file()
    assert not index.exists()


def test_a_cache_of_drawn_people_serves_batches_without_pictures(index: Path) -> None:
    cpu, kind = torch.device("cpu"), torch.float32
    cache, builder = build_cache(
        index, VIEW, build_vae(TINY, cpu, kind), build_clip(TINY, "denoiser", cpu, kind)
    )
    sample = open_people(index, VIEW, cache=cache)[0, 0]
    assert sample.latent_mean is not None and sample.images.numel() == 0
    assert 0 < builder.times.encoding < builder.times.total


def test_waiting_is_what_the_loader_keeps_a_step_waiting(
    index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "NUM_WORKERS", 0)

    def slow(*_: object, **__: object) -> Iterator[None]:
        while True:
            time.sleep(0.05)
            yield None

    monkeypatch.setattr(loading, "build_loader", slow)
    waiting, total = measure_waiting(open_people(index, VIEW), num_steps=4)
    assert waiting == pytest.approx(0.2, rel=0.3) and total == pytest.approx(0.4, rel=0.3)
    monkeypatch.setattr(loading, "build_loader", lambda *_, **__: iter([None] * 100))
    waiting, total = measure_waiting(open_people(index, VIEW), num_steps=4)
    assert waiting < 0.05 * total


def test_two_processes_read_and_report(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert processes.reading_rate(index, 2, num_batches=1) > 0


def test_reading_processes_that_fail_are_one_error(
    index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = subprocess.CompletedProcess([], 1, stderr="trace\nDataError: no people")
    monkeypatch.setattr(processes.subprocess, "run", lambda *_, **__: failed)
    message = "2 reading processes ended with exit code 1, 0 of them done: DataError: no people"
    with pytest.raises(processes.JCDMError, match=message):
        processes.reading_rate(index, 2)


def test_computed_costs_follow_from_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    assert full_size((256, 192)).name == "full" and full_size((64, 64)).batch_size == 1
    monkeypatch.setattr(full_cost, "FULL", TINY)
    cost, flops = run_cost("denoiser", VIEW, 1000, 4), step_flops(TINY, "denoiser")
    assert cost.flops == pytest.approx(flops.trained + 4 * flops.prior, rel=0.01)
    assert cost.published > 2 * flops.vae_grid
    assert cost.gpu_hours() == pytest.approx(cost.flops * 1000 / (990e12 * 0.4) / 3600)
    assert cost.gpu_hours(published=True) > cost.gpu_hours()
    assert cost.hours(8) == pytest.approx(cost.gpu_hours() / 8 / 0.95)


def test_a_cache_has_two_moments_and_an_embedding_twice_a_photograph() -> None:
    moments, embedding = 2 * 4 * 32 * 24, 1280
    assert cache_bytes((256, 192)) == 52_712 * 2 * (moments + embedding) * 2


def test_predicted_memory_grows_with_what_is_larger(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (full_cost, sampling_memory):
        monkeypatch.setattr(module, "FULL", TINY)
    large, saved = (
        training_peak("denoiser", (128, 128), batch_size=4, checkpointing=checkpointing)
        for checkpointing in (False, True)
    )
    assert saved < large
    exact, low = (sampling_peak(VIEW, preset) for preset in ("exact", "low-memory"))
    assert exact > low > 2e9, "CLIP's weights alone take as much"


def test_measured_tables_name_every_row(tmp_path: Path) -> None:
    timing = {"name": "ours", "unit": "people", "per_second": 3.0, "low": 2.0, "high": 4.0}
    rows = [
        {"kind": "comparison", "ours": timing, "theirs": timing, "ratio": 2.5, "cpu_ratio": 2.25},
        {"kind": "goal", "name": "g", "value": 2.5, "bound": 3, "at_least": True, "is_met": False},
        {"kind": "shares", "name": "step", "seconds": {"a": 0.3, "b": 0.1}, "whole": 0.5},
        {"kind": "fact", "name": "peak memory", "value": 123.0, "unit": "MB"},
    ]
    file = tmp_path / "a.json"
    file.write_text(json.dumps({"bench": "x", "settings": {"size": "mid"}, "rows": rows}))
    (text,) = tables.measured_tables([file])
    for part in ("bench x (size mid)", "**2.5**", "2.25 by processor seconds", "not met", "75.0%"):
        assert part in text
    assert "| peak memory | 123 MB |  |" in text
