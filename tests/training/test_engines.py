"""FSDP and DeepSpeed: refused by name where they cannot run; on CPUs, equal to a plain run."""

import importlib.util
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from accelerate.utils import DistributedType
from safetensors.torch import load_file
from torch.testing import assert_close
from toy import new_trainer, toy_batches, toy_config
from training_world import KINDS, tiny_config

from jcdm.errors import CheckpointError, ConfigError
from jcdm.logs import read_metrics
from jcdm.plain import to_yaml
from jcdm.training import run as run_module
from jcdm.training.checkpoint import list_checkpoints
from jcdm.training.engine_choice import choose_engine
from jcdm.training.run import new_accelerator, run_training

LAUNCH = {
    "fsdp": ["--multi_gpu", "--main_process_port", "0"],
    "deepspeed": ["--use_deepspeed", "--zero_stage", "2", "--main_process_port", "29617"],
}
NAME = "diffusion_pytorch_model.safetensors"


def test_deepspeed_that_is_missing_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    monkeypatch.setattr(run_module, "is_deepspeed_available", lambda: False)
    with pytest.raises(ConfigError, match=r"not installed; it is optional. Run: pip install deeps"):
        new_accelerator(toy_config(tmp_path))


def test_deepspeed_takes_no_fp16(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    monkeypatch.setattr(run_module, "is_deepspeed_available", lambda: True)
    with pytest.raises(ConfigError, match="fp16 needs a loss scaler"):
        new_accelerator(toy_config(tmp_path, mixed_precision="fp16"))


def test_fsdp_on_cpus_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    with pytest.raises(ConfigError, match="FSDP on CPUs, where it silently starts without"):
        new_accelerator(toy_config(tmp_path))


def test_other_engines_are_refused_by_name(tmp_path: Path) -> None:
    config: Any = toy_config(tmp_path)

    def accelerator(**values: Any) -> Any:
        return SimpleNamespace(**values)

    megatron = accelerator(distributed_type=DistributedType.MEGATRON_LM)
    with pytest.raises(ConfigError, match="launched with MEGATRON_LM; expected one process"):
        choose_engine(megatron, config)
    first = accelerator(distributed_type=DistributedType.FSDP, is_fsdp2=False)
    with pytest.raises(ConfigError, match="FSDP 1; expected version 2"):
        choose_engine(first, config)
    plugin = SimpleNamespace(deepspeed_config={"zero_optimization": {"stage": 3}})
    third = accelerator(
        distributed_type=DistributedType.DEEPSPEED, state=SimpleNamespace(deepspeed_plugin=plugin)
    )
    with pytest.raises(ConfigError, match="ZeRO 3; expected stage 1 or 2"):
        choose_engine(third, config)


def test_a_checkpoint_of_another_engine_is_refused(tmp_path: Path) -> None:
    trainer = new_trainer(toy_config(tmp_path))
    trainer.run(toy_batches(2), run=tmp_path)
    other = new_trainer(toy_config(tmp_path))
    other.engine.name = "fsdp"
    with pytest.raises(CheckpointError, match="with engine plain, this launch has fsdp"):
        other.resume(list_checkpoints(tmp_path)[-1][1])


@pytest.mark.slow
@pytest.mark.parametrize("accumulation", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("engine", ["fsdp", "deepspeed"])
def test_two_sittings_under_an_engine_equal_a_plain_run(
    world: Path, tmp_path: Path, engine: str, kind: str, accumulation: int
) -> None:
    if engine == "deepspeed" and importlib.util.find_spec("deepspeed") is None:
        pytest.skip("DeepSpeed is optional and not installed")
    plain = tiny_config(world, tmp_path / "plain", kind, batch_size=4, picture_every=4)
    run_training(kind, plain)
    train = {"batch_size": 2 // accumulation, "accumulation": accumulation, "picture_every": 4}
    for num_steps in (2, 4):
        config = tiny_config(world, tmp_path / "run", kind, num_steps=num_steps, **train)
        launch(engine, kind, replace(config, run=replace(config.run, out=tmp_path / "run")))
    expected, found = (read_metrics(tmp_path / n / "metrics.jsonl") for n in ("plain", "run"))
    assert [row["step"] for row in found] == [0, 1, 2, 3, 4]
    for first, second in zip(expected, found, strict=True):
        for name in ("loss", "grad_norm", "validation_loss"):
            if name in first:
                assert second[name] == pytest.approx(first[name], rel=1e-5), name
    final, same = (load_file(tmp_path / n / "final" / NAME) for n in ("plain", "run"))
    assert same.keys() == final.keys()
    for name, tensor in final.items():
        assert_close(same[name], tensor, rtol=1e-3, atol=1e-4, msg=name)
    newest = list_checkpoints(tmp_path / "run")[-1][1]
    assert (newest / "engine").is_dir() and not (newest / "optimizer.safetensors").exists()
    picture = tmp_path / "run" / "pictures" / "step_0000004.png"
    assert picture.is_file() == (kind != "prior")


def launch(engine: str, kind: str, config: Any) -> None:
    file = config.run.out.parent / "run.yaml"
    file.write_text(to_yaml(config, file.parent), encoding="utf-8")
    command = [
        *(sys.executable, "-m", "accelerate.commands.launch", *LAUNCH[engine]),
        *("--num_processes", "2", "--num_machines", "1"),
        *("--mixed_precision", "no", "--dynamo_backend", "no"),
        *(str(Path(__file__).with_name("launched_engine.py")), engine, kind, str(file)),
    ]
    variables = {"OMP_NUM_THREADS": "1"}
    if engine == "fsdp":
        variables["ACCELERATE_USE_CPU"] = "true"
    result = subprocess.run(
        command, env=os.environ | variables, capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stderr[-8000:]
