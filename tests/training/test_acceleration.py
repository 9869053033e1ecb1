"""Compiled by blocks, or channels last: the same numbers, the same names, the same checkpoints."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from training_world import tiny_config

from jcdm.config import TrainConfig
from jcdm.errors import ConfigError
from jcdm.logs import read_metrics
from jcdm.training import acceleration
from jcdm.training.acceleration import compiled_blocks, require_compiler
from jcdm.training.checkpoint import list_checkpoints
from jcdm.training.run import run_training
from jcdm.training.stages.build import build_stage

CPU = torch.device("cpu")
CHEAP = {"compile": True, "compile_backend": "aot_eager"}


def losses(run: Path) -> list[float]:
    return [row["loss"] for row in read_metrics(run / "metrics.jsonl") if "loss" in row]


@pytest.fixture(autouse=True)
def _forget_compiled_code() -> Any:
    yield
    torch._dynamo.reset()


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("prior", CHEAP),
        ("denoiser", CHEAP),
        ("denoiser", {"channels_last": True}),
        ("motion", {"channels_last": True}),
    ],
)
def test_losses_and_checkpoints_are_those_of_a_plain_run(
    world: Path, tmp_path: Path, kind: str, options: dict[str, Any]
) -> None:
    """Two steps with, two steps without: each way of training reads the other's checkpoint."""
    quick = {"num_steps": 2, "batch_size": 2, "validate_every": 0}
    plain = tiny_config(world, tmp_path / "plain", kind, **quick)
    other = tiny_config(world, tmp_path / "other", kind, **quick, **options)
    run_training(kind, plain)
    run_training(kind, other)
    assert losses(other.run.out) == pytest.approx(losses(plain.run.out), rel=1e-5)
    names = [
        {p.name: set(load_file(p)) for p in list_checkpoints(run)[-1][1].rglob("*.safetensors")}
        for run in (plain.run.out, other.run.out)
    ]
    assert names[0] == names[1]
    swapped = (replace(plain, run=other.run), replace(other, run=plain.run))
    if options == CHEAP and kind != "prior":
        swapped = swapped[:1]  # compiling takes long
    for config in swapped:
        run_training(kind, replace(config, train=replace(config.train, num_steps=3)))
    found = [losses(config.run.out) for config in swapped]
    assert all(len(row) == 3 for row in found)
    if len(found) == 2:
        assert found[0] == pytest.approx(found[1], rel=1e-5)


def test_a_resume_with_channels_last_is_bit_equal(world: Path, tmp_path: Path) -> None:
    """Moments must come back in the parameters' own order of memory, which fused AdamW walks."""
    config = tiny_config(world, tmp_path, "denoiser", channels_last=True, validate_every=0)
    straight = replace(config, run=replace(config.run, out=tmp_path / "straight"))
    run_training("denoiser", straight)
    for num_steps in (2, 4):
        train = replace(config.train, num_steps=num_steps)
        run_training("denoiser", replace(config, train=train))
    assert losses(config.run.out) == losses(straight.run.out)
    first, second = (
        load_file(list_checkpoints(out)[-1][1] / "optimizer.safetensors")
        for out in (config.run.out, straight.run.out)
    )
    assert all(torch.equal(first[name], tensor) for name, tensor in second.items())


def test_channels_last_reaches_convolutions(world: Path, tmp_path: Path) -> None:
    stage = build_stage("denoiser", tiny_config(world, tmp_path, "denoiser", channels_last=True))
    weight = stage.module.unet.mid_block.resnets[0].conv1.weight  # type: ignore[union-attr]
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert not weight.is_contiguous()


@pytest.mark.parametrize("kind", ["prior", "denoiser"])
def test_blocks_are_compiled_and_nothing_else(world: Path, tmp_path: Path, kind: str) -> None:
    module: Any = build_stage(kind, tiny_config(world, tmp_path, kind, **CHEAP)).module
    compiled = {id(m) for m in module.modules() if m._compiled_call_impl is not None}
    assert compiled == {id(block) for block in compiled_blocks(module)}
    assert len(compiled) == (1 if kind == "prior" else 5)
    plain: Any = build_stage(kind, tiny_config(world, tmp_path, kind)).module
    assert module.state_dict().keys() == plain.state_dict().keys()
    assert all(m._compiled_call_impl is None for m in plain.modules())


def test_an_unknown_backend_is_refused() -> None:
    train = TrainConfig(num_steps=1, batch_size=1, compile=True, compile_backend="gcc")
    with pytest.raises(ConfigError, match=r"compile_backend is 'gcc', expected one of .*inductor"):
        require_compiler(train, CPU)


def test_a_missing_compiler_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch._inductor import cpp_builder
    from torch._inductor.exc import InvalidCxxCompiler

    def none() -> str:
        raise InvalidCxxCompiler

    train = TrainConfig(num_steps=1, batch_size=1, compile=True)
    monkeypatch.setattr(cpp_builder, "get_cpp_compiler", none)
    with pytest.raises(ConfigError, match=r"needs a C\+\+ compiler such as g\+\+ on cpu, and none"):
        require_compiler(train, CPU)
    monkeypatch.setattr(acceleration, "_has_triton", lambda: False)
    with pytest.raises(ConfigError, match="needs Triton on cuda, and none was found"):
        require_compiler(train, torch.device("cuda"))
    require_compiler(replace(train, compile_backend="aot_eager"), CPU)
