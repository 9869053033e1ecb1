"""Defects 14 and 21 to 23: weights that were lost on the way in, or written wrongly."""

from pathlib import Path

import pytest
import torch
from accelerate import PartialState
from diffusers import PriorTransformer, UNet2DConditionModel
from test_stages import build
from toy import new_trainer, toy_batches, toy_config
from training_world import UNET, tiny_config

from jcdm.compat.official_keys_unet import official_motion_keys
from jcdm.errors import CheckpointError
from jcdm.models.encoders import FrozenCLIPVision
from jcdm.models.unet import unet_config_dict
from jcdm.training import loop
from jcdm.training.checkpoint import list_checkpoints
from jcdm.training.run import run_training


def test_defect_21_conv_in_keeps_its_pretrained_channels(world: Path, tmp_path: Path) -> None:
    torch.manual_seed(3)
    plain = UNet2DConditionModel(**(unet_config_dict(UNET, 4) | {"in_channels": 4})).eval()
    plain.save_pretrained(tmp_path / "unet")
    stage, _ = build(world, "denoiser", unet={"pretrained": tmp_path / "unet"})
    unet = stage.denoiser.unet
    assert torch.equal(unet.conv_in.weight[:, :4], plain.conv_in.weight)
    assert torch.equal(unet.conv_in.weight[:, 4:], torch.zeros(16, 5, 3, 3))
    generator = torch.Generator().manual_seed(0)
    noisy, tokens = (torch.randn(s, generator=generator) for s in ((2, 4, 8, 8), (2, 4, 16)))
    flag_and_references = torch.rand(2, 5, 8, 8, generator=generator)
    no_pose = torch.zeros(2, 16, 8, 8)
    with torch.no_grad():
        before = plain(noisy, 400, tokens).sample
        after = unet(torch.cat([noisy, flag_and_references, no_pose], 1), 400, tokens).sample
    torch.testing.assert_close(after, before)


def test_defect_21_adding_motion_keeps_conv_in(world: Path, tmp_path: Path) -> None:
    stage, _ = build(world, "denoiser", run={"seed": 7})
    torch.nn.init.normal_(stage.denoiser.unet.conv_in.weight)
    stage.module.save_pretrained(tmp_path / "denoiser")
    motion, _ = build(world, "motion", unet={"weights": tmp_path / "denoiser"})
    kept = {k: v for k, v in motion.module.state_dict().items() if not k.startswith("motion.")}
    assert kept.keys() == stage.module.state_dict().keys()
    for name, tensor in stage.module.state_dict().items():
        assert torch.equal(kept[name], tensor), name


def test_defect_22_checkpoints_come_at_their_steps_once_and_old_ones_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written, inner = [], loop.save_checkpoint

    def save(run: Path, state: object, config: object) -> Path:
        folder = inner(run, state, config)
        written.append((folder.name, len(list_checkpoints(run))))
        return folder

    monkeypatch.setattr(loop, "save_checkpoint", save)
    options = {"num_steps": 7, "checkpoint_every": 2, "keep_checkpoints": 2, "accumulation": 3}
    new_trainer(toy_config(tmp_path, **options)).run(toy_batches(2), run=tmp_path)
    assert written == [(f"step_{step:07d}", min(number, 2)) for number, step in
                       enumerate((2, 4, 6, 7), start=1)]  # fmt: skip
    assert [step for step, _ in list_checkpoints(tmp_path)] == [6, 7]


def test_defect_22_only_the_main_process_writes(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_accelerator: None
) -> None:
    main, other = tmp_path / "main", tmp_path / "other"
    run_training("prior", tiny_config(world, main, num_steps=2))
    monkeypatch.setattr(PartialState, "is_main_process", property(lambda _: False))
    run_training("prior", tiny_config(world, other, num_steps=2))
    assert {"checkpoints", "final", "metrics.jsonl"} <= {p.name for p in main.iterdir()}
    written = [p for p in other.rglob("*") if p.is_file() and p.parent.name != "tensorboard"]
    assert not written, "accelerate looks after its own tracker, which one process always writes"


def test_defect_22_part_2_trains_and_moves_motion_modules_alone(
    world: Path, tmp_path: Path
) -> None:
    run_training("motion", tiny_config(world, tmp_path, "motion", num_steps=2))
    stage, _ = build(world, "motion")
    trained, _ = build(world, "motion", unet={"weights": tmp_path / "final"})
    before, after = stage.module.state_dict(), trained.module.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved and all(name.startswith("motion.") for name in moved)


def test_defect_14_all_blocks_of_the_kandinsky_prior_are_loaded(
    world: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    size = tiny_config(world, tmp_path).prior
    torch.manual_seed(4)
    pretrained = PriorTransformer(
        num_attention_heads=size.num_heads,
        attention_head_dim=size.head_dim,
        num_layers=size.num_layers,
        embedding_dim=FrozenCLIPVision.from_folder(world / "clip").width,
        num_embeddings=4,
    )
    pretrained.save_pretrained(tmp_path / "prior")
    with caplog.at_level("INFO"):
        stage, _ = build(world, "prior", prior={"pretrained": tmp_path})
    layers = stage.module.layers
    assert len(layers) == size.num_layers
    for layer, block in zip(layers, pretrained.transformer_blocks, strict=True):
        for name, tensor in block.state_dict().items():
            assert torch.equal(layer.within.state_dict()[name], tensor), name
    total = sum(parameter.numel() for parameter in stage.module.parameters())
    assert f"of {total:,} parameters" in caplog.text
    assert "the published code loads every second one" in caplog.text


@pytest.mark.parametrize("change", ["missing", "partial", "unknown"])
def test_defect_23_a_missing_or_partial_motion_file_is_refused(
    world: Path, tmp_path: Path, change: str
) -> None:
    stage, _ = build(world, "denoiser")
    stage.module.save_pretrained(tmp_path / "denoiser")
    parts = {"weights": tmp_path / "denoiser"}
    whole, _ = build(world, "motion", unet=parts)
    weights = whole.module.motion.state_dict()
    official = {name: t for key, t in weights.items() for name in official_motion_keys(key)}
    file = tmp_path / "motion.pth"
    lost = next(name for name in official if name.endswith("proj_out.weight"))
    if change == "partial":
        del official[lost]
    elif change == "unknown":
        official[lost.replace("proj_out", "proj_extra")] = torch.ones(1)
    if change != "missing":
        torch.save(official, file)
    expected = {"missing": "not found", "partial": lost, "unknown": "proj_extra"}[change]
    with pytest.raises(CheckpointError, match=expected):
        build(world, "motion", unet=parts, motion={"pretrained": file})
