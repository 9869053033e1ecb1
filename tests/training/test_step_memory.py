"""The plan's memory against the memory that training really takes, and advice where it lacks."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState
from torch import nn
from torch.profiler import profile
from training_world import tiny_config

from jcdm.cli.main import run as run_command
from jcdm.config import Config
from jcdm.data.loader import build_loader
from jcdm.training.checkpoint import list_checkpoints
from jcdm.training.footprint import LiveBytes
from jcdm.training.loop import Trainer
from jcdm.training.people import training_people
from jcdm.training.plan import meta_parts
from jcdm.training.relief import find_relief, is_out_of_memory
from jcdm.training.run import _fast_attention, new_accelerator, run_training
from jcdm.training.stages.build import build_stage
from jcdm.training.stages.prior import PriorStage
from jcdm.training.step_memory import StepMemory, count_step


def counted(kind: str, config: Config) -> StepMemory:
    with torch.device("meta"):
        parts = meta_parts(kind, config)
    return count_step(kind, config, parts)


def measured(kind: str, config: Config) -> int:
    """Bytes of a real run at its peak: what stood before, and what torch's allocator reports."""
    accelerator = new_accelerator(config)
    stage: Any = build_stage(kind, config)
    trainer = Trainer(stage, config, accelerator)
    people = training_people(kind, config, stage.clip.image_size)
    loader = build_loader(people, batch_size=config.train.batch_size, seed=0)
    modules: list[nn.Module] = [stage.module, stage.clip]
    modules += [getattr(stage, name) for name in ("vae", "prior") if kind != "prior"]
    numbers = [t for m in modules for t in (*m.parameters(), *m.buffers())]
    numbers += trainer.state.averages.tensors().values()
    with _fast_attention(accelerator), profile(profile_memory=True) as profiler:
        trainer.run(loader, run=config.run.out)
    events = profiler.profiler.kineto_results.events()  # type: ignore[union-attr]
    changes = sorted((e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]")
    now = peak = 0
    for _, change in changes:
        now += change
        peak = max(peak, now)
    return sum(t.numel() * t.element_size() for t in numbers) + peak


@pytest.mark.parametrize(
    ("kind", "train"),
    [
        ("prior", {}),
        ("denoiser", {}),
        ("denoiser", {"mixed_precision": "bf16"}),
        ("denoiser", {"activation_checkpointing": True}),
        ("motion", {"activation_checkpointing": True, "mixed_precision": "bf16"}),
    ],
)
def test_the_plan_meets_what_training_takes(
    world: Path, tmp_path: Path, kind: str, train: dict[str, Any]
) -> None:
    options = {"num_steps": 2, "validate_every": 0, "checkpoint_every": 9, "batch_size": 8} | train
    config = tiny_config(world, tmp_path, kind, **options)
    AcceleratorState._reset_state()
    try:
        taken = measured(kind, config)
    finally:
        AcceleratorState._reset_state()
    found = counted(kind, config)
    assert found.peak == pytest.approx(taken, rel=0.15)
    assert 0 < found.activations < found.peak


def test_live_bytes_by_hand() -> None:
    held = torch.zeros(100)  # 400 bytes
    live = LiveBytes()
    live.hold([held, held.view(10, 10)])
    assert live.now == 400
    with live:
        doubled = held * 2
        both = doubled + held.view(100)
        del doubled
        again = both.view(10, 10)
    assert (live.now, live.peak) == (800, 1200)
    del both
    assert live.now == 800, "a view keeps it"
    del again
    assert live.now == 400


def test_each_relief_saves_what_the_plan_says(world: Path, tmp_path: Path) -> None:
    config = tiny_config(world, tmp_path, "denoiser", batch_size=16)
    needed, found = find_relief("denoiser", config)
    assert len(found) == 3
    assert [relief.saved for relief in found] == sorted((r.saved for r in found), reverse=True)
    train = replace(config.train, batch_size=8, accumulation=2)
    halved = counted("denoiser", replace(config, train=train))
    by_words = {relief.settings: relief.saved for relief in found}
    assert by_words["--train.batch_size=8 --train.accumulation=2"] == needed - halved.peak
    assert any("data.height=16 --data.width=16" in words for words in by_words)


def test_what_is_set_already_is_not_advised(world: Path, tmp_path: Path) -> None:
    options = {"activation_checkpointing": True, "mixed_precision": "bf16", "batch_size": 1}
    _, found = find_relief("prior", tiny_config(world, tmp_path, "prior", **options))
    assert found == []


@pytest.mark.parametrize("how", ["allocator", "gpu", "numpy"])
def test_a_lack_of_memory_is_one_line_and_leaves_the_checkpoint(
    world: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    how: str,
) -> None:
    config = tiny_config(world, tmp_path, num_steps=2)
    run_training("prior", config)
    before = {p: p.read_bytes() for p in list_checkpoints(tmp_path)[-1][1].rglob("*.safetensors")}

    def fail(self: PriorStage, batch: object) -> None:
        if how == "allocator":
            torch.empty(1 << 58)
        raise torch.OutOfMemoryError("CUDA out of memory.") if how == "gpu" else MemoryError()

    monkeypatch.setattr(PriorStage, "step", fail)
    longer = replace(config, train=replace(config.train, num_steps=3, validate_every=0))
    logging.getLogger("jcdm").handlers.clear()
    capsys.readouterr()
    assert run_command(lambda: run_training("prior", longer) and None) == 1
    line = next(x for x in capsys.readouterr().err.splitlines() if x.startswith("jcdm: "))
    assert "the memory did not suffice" in line and "MiB" in line
    assert "--train.batch_size=2 --train.accumulation=2" in line
    assert "--train.activation_checkpointing=true" in line or "mixed_precision=bf16" in line
    assert all(path.read_bytes() == content for path, content in before.items())


def test_other_errors_are_no_lack_of_memory() -> None:
    assert not is_out_of_memory(RuntimeError("shapes differ"))
    assert not is_out_of_memory(ValueError("cannot allocate memory"))
