"""Defects 1 to 9: what the published code could not run at all, or only with one private disk."""

import argparse
import ast
import importlib
import os
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pipeline_factory as factory
import pytest
import torch
from defect_tools import listen, paint, painter, prior_pipeline
from safetensors.torch import load_file
from test_stages import build
from torch import nn
from training_world import KINDS, tiny_config

import jcdm
from jcdm.cli.options import read_config
from jcdm.compat.checkpoint_files import read_checkpoint
from jcdm.config import Config, TestConfig
from jcdm.data.dataset import MultiViewDataset
from jcdm.data.pose_maps import draw_pose_map
from jcdm.errors import CheckpointError
from jcdm.logs import read_metrics
from jcdm.models.encoders import FrozenCLIPVision
from jcdm.pipelines import JCDMPipeline, JCDMSequencePipeline
from jcdm.pipelines.outputs import to_pil
from jcdm.training.checkpoint import list_checkpoints
from jcdm.training.people import training_people
from jcdm.training.run import run_training

REPOSITORY = Path(__file__).resolve().parents[2]
ENTRY_POINTS = (
    "run_train_stage1.sh",
    "run_train_stage2_stage1.sh",
    "run_train_stage2_stage2.sh",
    "test_stage1.sh",
    "test_stage2_no_motion.py",
    "test_stage2_use_motion.py",
)
PAINTERS = (JCDMPipeline, JCDMSequencePipeline)


def test_defect_01_every_module_is_there_and_imports() -> None:
    names = [m.name for m in pkgutil.walk_packages(jcdm.__path__, "jcdm.", onerror=_fail)]
    assert len(names) > 80 and {"jcdm.models.attention", "jcdm.models.motion"} <= set(names)
    for name in names:
        importlib.import_module(name)


def _fail(package: str) -> None:
    raise AssertionError(f"the package {package} cannot be imported")


@pytest.mark.parametrize("script", ENTRY_POINTS)
def test_defect_01_the_six_entry_points_answer_help(script: str) -> None:
    program = "sh" if script.endswith(".sh") else sys.executable
    own = {"JCDM_PYTHON": sys.executable, "NUM_PROCESSES": "1"}
    done = subprocess.run(
        [program, str(REPOSITORY / script), "--help"],
        env=os.environ | own,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "--run.seed" in done.stdout


@pytest.mark.parametrize("precision", ["no", "bf16"])
def test_defect_02_a_stage_trains_without_and_with_mixed_precision(
    world: Path, tmp_path: Path, precision: str, fresh_accelerator: None
) -> None:
    config = tiny_config(world, tmp_path, num_steps=1, mixed_precision=precision)
    start = build(world, "prior")[0].module.state_dict()
    run_training("prior", config)
    loss = read_metrics(tmp_path / "metrics.jsonl")[-1]["loss"]
    assert 0 < loss < 10
    stored = load_file(
        list_checkpoints(tmp_path)[0][1] / "prior/diffusion_pytorch_model.safetensors"
    )
    assert not torch.equal(stored["query"], start["query"]), "the step moved no weight"


@pytest.mark.parametrize("kind", KINDS)
def test_defect_03_activation_checkpointing_trains_every_stage_alike(
    world: Path, kind: str
) -> None:
    gradients, forwards = [], []
    for checkpointing in (False, True):
        stage, batch = build(world, kind, train={"activation_checkpointing": checkpointing})
        calls = listen(_repeated_layer(stage.module))
        stage.module.train()
        stage.step(batch).loss.backward()
        gradients.append({name: p.grad for name, p in stage.trainable_parameters().items()})
        forwards.append(len(calls))
    assert forwards == [1, 2], "the layer is to be computed again in the backward pass"
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, msg=name)


def _repeated_layer(module: Any) -> nn.Module:
    """A layer inside the pieces that are checkpointed: of the prior, or of the U-Net."""
    return (
        module.layers[0].within
        if hasattr(module, "layers")
        else module.unet.up_blocks[-1].resnets[0]
    )


@pytest.mark.parametrize("kind", PAINTERS)
def test_defect_04_a_step_callback_is_called_and_may_change_the_latents(kind: type) -> None:
    pipeline, steps = painter(kind), []

    def watch(_: Any, step: int, timestep: torch.Tensor, tensors: dict[str, Any]) -> None:
        assert tensors["latents"].isfinite().all()
        steps.append((step, int(timestep)))

    plain = paint(pipeline)
    assert torch.equal(paint(pipeline, callback_on_step_end=watch), plain)
    assert steps == [(0, 999), (1, 499)]

    def brighten(*call: Any) -> dict[str, torch.Tensor]:
        return {"latents": call[-1]["latents"] + 3}

    assert not torch.allclose(paint(pipeline, callback_on_step_end=brighten), plain, atol=1e-3)


def test_defect_04_the_prior_s_pipeline_has_no_callback_and_says_so() -> None:
    with pytest.raises(TypeError, match="callback_on_step_end"):
        prior_pipeline()(*factory.person(1), num_steps=2, callback_on_step_end=print)


def test_defect_05_resume_auto_starts_in_an_empty_folder(world: Path, tmp_path: Path) -> None:
    for out in (tmp_path / "new", tmp_path / "empty"):
        if out.name == "empty":
            (out / "checkpoints").mkdir(parents=True)
        run_training("prior", tiny_config(world, out, num_steps=1, resume="auto"))
        assert [step for step, _ in list_checkpoints(out)] == [1]


@pytest.mark.parametrize("kind", PAINTERS)
def test_defect_06_sizes_may_be_left_out(kind: type) -> None:
    pipeline = painter(kind)
    trained = (factory.HEIGHT, factory.WIDTH)
    assert paint(pipeline).shape[2:] == trained
    assert torch.equal(paint(pipeline), paint(pipeline, height=trained[0], width=trained[1]))


@pytest.mark.parametrize("kind", PAINTERS)
def test_defect_06_offloading_finds_every_component(kind: type) -> None:
    pipeline = painter(kind)
    models = [part for part in pipeline.components.values() if isinstance(part, nn.Module)]
    before = paint(pipeline)
    pipeline.enable_model_cpu_offload(device="cpu")
    woken = {id(model): 0 for model in models}
    for model in models:
        _count_wakes(model, woken)
    assert torch.equal(paint(pipeline), before)
    assert len(models) == 4 and min(woken.values()) > 0, "a component slept through the work"


def _count_wakes(model: Any, woken: dict[int, int]) -> None:
    hook, inner = model._hf_hook, model._hf_hook.pre_forward

    def pre_forward(module: nn.Module, *args: Any, **options: Any) -> Any:
        woken[id(model)] += 1
        return inner(module, *args, **options)

    hook.pre_forward = pre_forward


def test_defect_07_a_pose_map_may_be_left_out_and_is_drawn_from_the_joints() -> None:
    pipeline = painter()
    photos, given, poses = factory.person(1)
    seen = torch.ones(18, dtype=torch.bool).numpy()
    drawn = [draw_pose_map(pose, seen, factory.HEIGHT, factory.WIDTH) for pose in poses]
    maps = to_pil(torch.stack([torch.from_numpy(m).permute(2, 0, 1) for m in drawn]) / 127.5 - 1)
    pairs = list(zip(maps, poses, strict=True))
    assert torch.equal(paint(pipeline), paint(pipeline, (photos, given, pairs)))


def test_defect_07_an_index_needs_no_pose_maps(world: Path, tmp_path: Path) -> None:
    config = tiny_config(world, tmp_path)
    people: MultiViewDataset = training_people("denoiser", config, 32)
    assert all(view.pose_map is None for record in people.records for view in record.views)
    sample = people.sample(0)
    assert (sample.pose_maps.amax(dim=(1, 2, 3)) > 0.5).all(), "every present view has a pose"


@pytest.mark.parametrize(
    "path",
    sorted(
        p
        for p in (REPOSITORY / "configs").glob("*/*.yaml")
        if p.parent.name != "accelerate" and p.name != "rows.yaml"
    ),
    ids=lambda p: f"{p.parent.name}/{p.stem}",
)
def test_defect_08_no_shipped_configuration_names_a_private_folder(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JCDM_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    kind = TestConfig if path.name.startswith("sample") else Config
    for found in _paths(read_config(kind, ["--config", str(path)], prog="jcdm")):
        assert found.is_relative_to(REPOSITORY) or found.is_relative_to(tmp_path), found


def _paths(section: Any) -> Iterator[Path]:
    for field in fields(section):
        value = getattr(section, field.name)
        if is_dataclass(value):
            yield from _paths(value)
        elif isinstance(value, Path):
            yield value


def test_defect_08_no_module_names_an_absolute_path() -> None:
    for file in (REPOSITORY / "jcdm").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert not re.match(r"(~/|[A-Za-z]:\\|/[\w.-]+/)", node.value), (file, node.value)


def test_defect_08_requirements_name_every_package_that_is_imported() -> None:
    listed = (REPOSITORY / "requirements.txt").read_text(encoding="utf-8")
    required = {
        _plain(n) for n in re.findall(r"^([\w.-]+)(?:\[[\w,]+\])?==", listed, flags=re.MULTILINE)
    }
    owners = packages_distributions()
    for name in sorted(_imported_packages() - set(sys.stdlib_module_names) - {"jcdm"}):
        wanted = {_plain(owner) for owner in owners.get(name, [name])}
        assert wanted & required, f"{name} is imported, but requirements.txt does not name it"


def _plain(distribution: str) -> str:
    return distribution.lower().replace("_", "-")


def _imported_packages() -> set[str]:
    """Top-level names of everything that some module imports, at its top or inside a function."""
    found: set[str] = set()
    for file in (REPOSITORY / "jcdm").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                found.add(str(node.module).split(".")[0])
    return found


class _Planted:
    """Makes a folder when a pickle of it is opened the usual way."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.mark),)


def test_defect_08_weights_are_read_without_running_what_a_pickle_names(
    world: Path, tmp_path: Path
) -> None:
    mark = tmp_path / "ran"
    weights = {"a": torch.arange(3.0)}
    content = {"module": weights, "args": argparse.Namespace(lr=1), "extra": _Planted(mark)}
    torch.save(content, tmp_path / "pytorch_model.bin")
    (tmp_path / "config.json").write_bytes((world / "clip" / "config.json").read_bytes())
    assert torch.equal(read_checkpoint(tmp_path / "pytorch_model.bin")["a"], weights["a"])
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        FrozenCLIPVision.from_folder(tmp_path)
    assert not mark.exists()
    torch.load(tmp_path / "pytorch_model.bin", weights_only=False)
    assert mark.exists(), "the planted call would not have run at all: the test tests nothing"


def test_defect_09_a_guidance_scale_need_not_be_whole() -> None:
    options = ["--sample.prior_guidance=1.5", "--sample.guidance_scale=2.25"]
    file = str(REPOSITORY / "configs" / "tiny" / "sample_prior.yaml")
    config = read_config(TestConfig, options, prog="jcdm", default_config=file)
    assert (config.sample.prior_guidance, config.sample.guidance_scale) == (1.5, 2.25)
    whole, half, double = (
        prior_pipeline()(*factory.person(1), num_steps=1, seed=0, guidance=scale).embeddings
        for scale in (1.0, config.sample.prior_guidance, 2.0)
    )
    torch.testing.assert_close(half, (whole + double) / 2, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(half, whole, atol=1e-3)
