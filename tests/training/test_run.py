import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from PIL import Image
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from training_world import KINDS, tiny_config

from jcdm.cli.main import main
from jcdm.cli.options import read_config
from jcdm.config import Config
from jcdm.data.dataset import MultiViewDataset
from jcdm.errors import CheckpointError, ConfigError
from jcdm.logs import read_metrics
from jcdm.manifest import FIELDS
from jcdm.pipelines.multiview import JCDMPipeline
from jcdm.training.checkpoint import list_checkpoints
from jcdm.training.loop import Trainer
from jcdm.training.parts import export_part, load_part
from jcdm.training.people import unseen_people
from jcdm.training.pictures import GAP, HEADER
from jcdm.training.run import run_training
from jcdm.training.stages.build import build_stage
from jcdm.training.validation import validation_scalars
from jcdm.weights_identity import weights_identity

PART = {"prior": "prior", "denoiser": "denoiser", "motion": "denoiser"}


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    return {
        f"{file.name}:{name}": tensor
        for file in sorted(folder.rglob("*.safetensors"))
        for name, tensor in load_file(file).items()
    }


def rows(run: Path) -> list[dict[str, float]]:
    return [
        {k: v for k, v in r.items() if k != "seconds"} for r in read_metrics(run / "metrics.jsonl")
    ]


@pytest.mark.parametrize("train", [{}, {"accumulation": 2, "batch_size": 2}])
@pytest.mark.parametrize("kind", KINDS)
def test_two_steps_a_resume_and_two_steps_equal_four(
    world: Path, tmp_path: Path, kind: str, train: dict[str, int]
) -> None:
    straight = tiny_config(world, tmp_path / "straight", kind, **train)
    broken = tiny_config(world, tmp_path / "broken", kind, **train)
    run_training(kind, straight)
    run_training(kind, broken)
    shutil.rmtree(list_checkpoints(broken.run.out)[-1][1])
    run_training(kind, broken)
    first, second = (list_checkpoints(c.run.out)[-1][1] for c in (straight, broken))
    assert first.name == second.name == "step_0000004"
    expected, found = tensors(first), tensors(second)
    assert found.keys() == expected.keys()
    assert not [name for name in found if not torch.equal(found[name], expected[name])]
    assert rows(straight.run.out) == rows(broken.run.out)


@pytest.fixture(scope="module")
def finished(world: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Config]:
    """Configurations of finished runs of every stage, with pictures."""
    configs = {}
    for kind in KINDS:
        out = tmp_path_factory.mktemp(kind)
        configs[kind] = tiny_config(world, out, kind, picture_every=4)
        run_training(kind, configs[kind])
    return configs


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_leaves_all_it_should(finished: dict[str, Config], kind: str) -> None:
    out = finished[kind].run.out
    names = {path.name for path in out.iterdir()}
    expected = {"config.yaml", "manifest.json", "log.txt", "metrics.jsonl", "checkpoints", "final"}
    assert names >= expected | {"tensorboard"}
    manifest = json.loads((out / "manifest.json").read_text())
    assert set(FIELDS) < set(manifest) and manifest["stage"] == kind
    expected_weights = {"encoders.image_encoder", "encoders.vae", "prior.weights", "unet.weights"}
    used = {"prior": 1, "denoiser": 3, "motion": 4}[kind]
    assert set(manifest["weights"]) <= expected_weights and len(manifest["weights"]) == used
    assert all(len(found["sha256"]) == 64 for found in manifest["weights"].values())
    assert manifest["final"]["sha256"] == weights_identity(out / "final")["sha256"]
    assert manifest["resumed_from"] is None and manifest["earlier"] == []
    assert manifest["data"]["num_subjects"] == 8 and len(manifest["data"]["sha256"]) == 64
    assert manifest["config"]["train"]["num_steps"] == 4
    opening = (out / "log.txt").read_text().splitlines()
    line = next(text for text in opening if "trains:" in text)
    for words in ("frozen:", " k", "4 people of train", "3 unseen ones"):
        assert words in line


@pytest.mark.parametrize("kind", KINDS)
def test_the_resolved_configuration_is_read_back_equal(
    finished: dict[str, Config], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = finished[kind]
    for file in (config.run.out / "config.yaml", *config.run.out.rglob("step_*/config.yaml")):
        monkeypatch.chdir("/")
        assert read_config(Config, [], prog="test", default_config=str(file)) == config


@pytest.mark.parametrize("kind", KINDS)
def test_metrics_have_validation_and_the_stage_s_scalars(
    finished: dict[str, Config], kind: str
) -> None:
    found = read_metrics(finished[kind].run.out / "metrics.jsonl")
    assert [row["step"] for row in found] == [0, 1, 2, 3, 4]
    assert [("validation_loss" in row) for row in found] == [True, False, True, False, True]
    assert ["target_loss" in row for row in found] == [False, True, True, True, True]
    assert ("cosine" in found[-1]) == (kind == "prior")


@pytest.mark.parametrize("kind", ["denoiser", "motion"])
def test_pictures_show_given_poses_painted_and_true(finished: dict[str, Config], kind: str) -> None:
    config = finished[kind]
    sheet = np.array(Image.open(config.run.out / "pictures" / "step_0000004.png"))
    num_people, side = 3, 2 * config.data.height
    assert sheet.shape == (HEADER + num_people * (side + GAP), 4 * side + 3 * GAP, 3)
    assert (sheet[:HEADER] == 0).any(), "the titles"
    people = sheet[HEADER:].reshape(num_people, side + GAP, -1, 3)[:, :side]
    given, poses, painted, true = (
        people[:, :, i * (side + GAP) : i * (side + GAP) + side].astype(int) for i in range(4)
    )
    assert (given != true).any() and ((given == 0) | (given == true)).all()
    assert ((given == 0) | (painted == true)).all(), "reference cells hold the photographs"
    assert (painted != true).any()
    assert (poses == 0).mean() > 0.5 and (poses > 0).any()


@pytest.mark.parametrize("kind", KINDS)
def test_tensorboard_reads_the_same_scalars(finished: dict[str, Config], kind: str) -> None:
    out = finished[kind].run.out
    events = EventAccumulator(str(out / "tensorboard"), size_guidance={"images": 0})
    events.Reload()
    wanted = [row["loss"] for row in read_metrics(out / "metrics.jsonl") if "loss" in row]
    assert [event.value for event in events.Scalars("loss")] == pytest.approx(wanted)
    assert bool(events.Tags()["images"]) == (kind != "prior")


@pytest.mark.parametrize("kind", KINDS)
def test_final_holds_the_averages_and_loads_as_a_part(
    finished: dict[str, Config], kind: str
) -> None:
    out = finished[kind].run.out
    checkpoint = list_checkpoints(out)[-1][1]
    averages = load_file(checkpoint / "ema.safetensors")
    live = load_file(checkpoint / PART[kind] / "diffusion_pytorch_model.safetensors")
    for source in (out / "final", checkpoint, out):
        state = load_part(source, PART[kind], "prior.weights").state_dict()
        assert state.keys() == live.keys()
        for name, tensor in state.items():
            assert torch.equal(tensor, averages.get(name, live[name])), name
    assert any(not torch.equal(averages[name], live[name]) for name in averages)


def test_export_in_half_precision_is_half_the_size(
    finished: dict[str, Config], tmp_path: Path
) -> None:
    full, half = tmp_path / "full", tmp_path / "half"
    export_part(finished["denoiser"].run.out, full)
    export_part(finished["denoiser"].run.out, half, dtype=torch.float16)
    name = "diffusion_pytorch_model.safetensors"
    assert (half / name).stat().st_size < 0.7 * (full / name).stat().st_size
    first, second = (load_part(folder, "denoiser", "key").state_dict() for folder in (full, half))
    for key, tensor in first.items():
        torch.testing.assert_close(second[key], tensor, rtol=1e-3, atol=1e-4)


def test_export_needs_a_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds no checkpoint"):
        export_part(tmp_path, tmp_path / "out")


def test_a_run_becomes_a_pipeline_folder(
    finished: dict[str, Config], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, out = finished["motion"], tmp_path / "pipeline"
    words = ["convert", "pipeline", "--run", str(config.run.out), "--out", str(out)]
    assert main(words) == 0
    pipeline = JCDMPipeline.from_pretrained(out)
    expected = load_part(config.run.out, "denoiser", "run").state_dict()
    found = pipeline.denoiser.state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
    prior = load_part(config.prior.weights, "prior", "prior.weights").state_dict()
    assert all(torch.equal(pipeline.prior.state_dict()[k], v) for k, v in prior.items())
    size = (config.data.height, config.data.width)
    assert (pipeline.config["height"], pipeline.config["width"]) == size
    provenance = json.loads((out / "provenance.json").read_text())
    assert provenance["config"]["motion"] == asdict(config.motion)
    capsys.readouterr()
    assert main(words) == 1 and "exists; choose a new folder" in capsys.readouterr().err
    words[-1] = str(tmp_path / "half")
    assert main([*words, "--dtype", "float16"]) == 0
    weights = "denoiser/diffusion_pytorch_model.safetensors"
    half = load_file(tmp_path / "half" / weights)
    assert {tensor.dtype for tensor in half.values()} == {torch.float16}
    assert main(["convert", "pipeline", "--run", str(tmp_path), "--out", "x"]) == 1
    assert "holds no config.yaml" in capsys.readouterr().err


def test_parts_are_refused_by_name(finished: dict[str, Config], tmp_path: Path) -> None:
    prior = finished["prior"].run.out
    with pytest.raises(
        CheckpointError, match=r"unet.weights: .* holds weights of AppearancePriorTransformer"
    ):
        load_part(prior / "final", "denoiser", "unet.weights")
    with pytest.raises(CheckpointError, match=r"prior.weights: no prior in"):
        load_part(tmp_path, "prior", "prior.weights")
    broken = tmp_path / "broken"
    shutil.copytree(prior / "final", broken)
    (broken / "diffusion_pytorch_model.safetensors").write_bytes(b"no weights")
    with pytest.raises(CheckpointError, match=r"is damaged: diffusion_pytorch_model\.saf"):
        load_part(broken, "prior", "prior.weights")


def test_a_finished_run_is_left_as_it_is(finished: dict[str, Config]) -> None:
    config = finished["prior"]
    before = rows(config.run.out)
    run_training("prior", config)
    assert rows(config.run.out) == before


def test_a_resumed_run_says_how_it_was_started_before(world: Path, tmp_path: Path) -> None:
    config = tiny_config(world, tmp_path / "run", "prior", validate_every=0)
    manifest = config.run.out / "manifest.json"
    run_training("prior", config)
    first = json.loads(manifest.read_text())
    newest = list_checkpoints(config.run.out)[-1][1]
    shutil.rmtree(newest)
    run_training("prior", config)
    second = json.loads(manifest.read_text())
    (before,) = second["earlier"]
    assert all(before[name] == first[name] for name in ("command", "code", "versions", "hardware"))
    assert second["resumed_from"]["path"].endswith("step_0000002")
    assert second["final"]["sha256"] == first["final"]["sha256"]
    manifest.write_text("{")
    run_training("prior", config)
    assert json.loads(manifest.read_text())["earlier"] == []


def test_a_resume_with_other_values_names_them(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tiny_config(world, tmp_path, num_steps=2)
    run_training("prior", config)
    other = replace(config, train=replace(config.train, num_steps=3, drop_all=0.2))
    run_training("prior", other)
    text = (tmp_path / "log.txt").read_text()
    assert "resuming with other values than before of: train.drop_all, train.num_steps" in text


@pytest.mark.parametrize("kind", KINDS)
def test_validation_is_the_same_each_time(world: Path, tmp_path: Path, kind: str) -> None:
    config = tiny_config(world, tmp_path, kind, drop_prior=0.4, drop_all=0.5, num_steps=1)
    trainer, people = new_trainer(kind, config)
    trainer.stage.module.eval()
    scalars = [
        validation_scalars(
            trainer.stage,
            trainer.state.averages,
            people,
            batch_size=size,
            accelerator=trainer.accelerator,
        )
        for size in (3, 3, 1)
    ]
    assert scalars[0] == scalars[1]
    assert scalars[2] == pytest.approx(scalars[0], rel=1e-5), "batches must not matter"


def new_trainer(kind: str, config: Config) -> tuple[Trainer, MultiViewDataset]:
    stage = build_stage(kind, config)
    people = unseen_people(kind, config, stage.clip.image_size)
    assert people is not None
    return Trainer(stage, config, Accelerator(cpu=True)), people


def test_validation_uses_the_averages(world: Path, tmp_path: Path) -> None:
    config = tiny_config(world, tmp_path, num_steps=1)
    trainer, people = new_trainer("prior", config)
    trainer.stage.module.eval()

    def loss() -> float:
        return validation_scalars(
            trainer.stage,
            trainer.state.averages,
            people,
            batch_size=3,
            accelerator=trainer.accelerator,
        )["validation_loss"]

    before = loss()
    with torch.no_grad():
        trainer.state.module.appearance_out.bias += 1.0
    assert loss() == before
    trainer.state.averages.tensors()["appearance_out.bias"].add_(1.0)
    assert loss() != before


def test_an_unwritable_folder_is_refused_before_any_work(world: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    config = tiny_config(world, tmp_path / "file" / "run")
    config = replace(config, data=replace(config.data, index=tmp_path / "missing.json"))
    with pytest.raises(ConfigError, match=r"run.out=.*file/run cannot be written: Not a directory"):
        run_training("prior", config)


def test_a_run_without_validation(world: Path, tmp_path: Path) -> None:
    config = tiny_config(world, tmp_path, num_steps=2)
    config = replace(config, data=replace(config.data, validation_split=None))
    run_training("prior", config)
    assert all("validation_loss" not in row for row in rows(tmp_path))
    assert (tmp_path / "final" / "config.json").is_file()


def test_num_threads_is_set(world: Path, tmp_path: Path) -> None:
    before = torch.get_num_threads()
    try:
        run_training("prior", tiny_config(world, tmp_path, num_steps=1, num_threads=2))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("kind", KINDS)
def test_bf16_and_activation_checkpointing(world: Path, tmp_path: Path, kind: str) -> None:
    """Both change the way, not the aim: losses stay near those of plain float32."""
    plain = tiny_config(world, tmp_path / "plain", kind, num_steps=2)
    run_training(kind, plain)
    AcceleratorState._reset_state()
    try:
        options = {"mixed_precision": "bf16", "activation_checkpointing": True}
        other = tiny_config(world, tmp_path / "other", kind, num_steps=2, **options)
        run_training(kind, other)
    finally:
        AcceleratorState._reset_state()
    pairs = zip(rows(plain.run.out)[1:], rows(other.run.out)[1:], strict=True)
    for first, second in pairs:
        assert second["loss"] != first["loss"]
        assert second["loss"] == pytest.approx(first["loss"], rel=0.03)
    stored = tensors(list_checkpoints(other.run.out)[-1][1])
    assert {tensor.dtype for tensor in stored.values()} == {torch.float32}


def test_another_precision_than_before_in_one_process_is_one_line(
    world: Path, tmp_path: Path
) -> None:
    Accelerator(cpu=True)
    with pytest.raises(ConfigError, match=r"train.mixed_precision=bf16 cannot be had here: "):
        run_training("prior", tiny_config(world, tmp_path, mixed_precision="bf16"))


def test_motion_modules_are_trained_further_or_refused_by_name(
    finished: dict[str, Config], world: Path, tmp_path: Path
) -> None:
    weights = finished["motion"].run.out / "final"
    config = tiny_config(world, tmp_path, "motion")
    config = replace(config, unet=replace(config.unet, weights=weights))
    motion = load_part(weights, "denoiser", "unet.weights").motion.state_dict()
    built = build_stage("motion", config).denoiser.motion.state_dict()
    assert all(torch.equal(built[name], tensor) for name, tensor in motion.items())
    other = replace(config, motion=replace(config.motion, num_heads=4))
    with pytest.raises(ConfigError, match=r"motion.num_heads is 4, but .* num_heads 2"):
        build_stage("motion", other)
