"""Training with patches of the references: no truth in them, the cache gives the same losses."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from training_world import tiny_config

from jcdm.cache.reader import EncoderCache
from jcdm.cli.main import main
from jcdm.config import Config
from jcdm.data.loader import build_loader, collate
from jcdm.errors import ConfigError
from jcdm.models.encoders import FrozenCLIPVision
from jcdm.plain import to_yaml
from jcdm.records import Batch
from jcdm.training.encoder_cache import build_configured, verify_configured
from jcdm.training.kept_predictions import build_predictions
from jcdm.training.people import checked_cache, training_people
from jcdm.training.run import run_training
from jcdm.training.stages.build import build_stage

STAGES = ("denoiser", "motion")


def with_patches(config: Config, cache: Path | None = None, patch_grid: int = 2) -> Config:
    return replace(
        config,
        jci=replace(config.jci, patch_grid=patch_grid),
        data=replace(config.data, fit="letterbox"),
        encoders=replace(config.encoders, cache=cache),
    )


@pytest.fixture(scope="module")
def folder(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache for each stage, and a denoiser with patches for the motion stage."""
    folder = tmp_path_factory.mktemp("patches")
    for kind in STAGES:
        config = with_patches(tiny_config(world, folder / "unused", kind), folder / kind)
        build_configured(config, patch_tokens=True)
    trained = build_stage("denoiser", with_patches(tiny_config(world, folder, "denoiser")))
    trained.module.save_pretrained(folder / "weights")  # type: ignore[operator]
    return folder


def config_of(
    world: Path, folder: Path, kind: str, *, out: Path | None = None, cached: bool = False
) -> Config:
    """Configuration of a stage with patches; motion runs across frames of two grids."""
    cache = folder / kind if cached else None
    config = with_patches(tiny_config(world, out or folder / "unused", kind), cache)
    if kind == "denoiser":
        return config
    return replace(
        config,
        unet=replace(config.unet, weights=folder / "weights"),
        motion=replace(config.motion, axis="frames", num_frames=2),
    )


def people_of(kind: str, config: Config, stage: Any) -> Any:
    cache = checked_cache(config, stage.clip, stage.vae)
    return training_people(kind, config, stage.clip.image_size, cache)


def build(world: Path, folder: Path, kind: str, **changes: Any) -> tuple[Any, Batch]:
    config = config_of(world, folder, kind)
    for section, values in changes.items():
        config = replace(config, **{section: replace(getattr(config, section), **values)})
    stage: Any = build_stage(kind, config)
    people = people_of(kind, config, stage)
    return stage, collate([people.sample(index) for index in range(4)])


def mirrored(batch: Batch, chosen: Tensor) -> Batch:
    """Mirror what CLIP sees of the chosen views."""
    pixels = batch.clip_pixels
    return replace(
        batch, clip_pixels=torch.where(chosen[:, :, None, None, None], pixels.flip(-1), pixels)
    )


@torch.no_grad()
def losses_of(stage: Any, batch: Batch) -> Tensor:
    stage.module.eval()
    return stage.step(batch).per_sample


def losses(config: Config, kind: str) -> list[dict[str, float]]:
    run_training(kind, config)
    text = (config.run.out / "metrics.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("kind", STAGES)
def test_losses_with_the_cache_are_those_without(
    world: Path, folder: Path, tmp_path: Path, kind: str
) -> None:
    plain, cached = (
        losses(config_of(world, folder, kind, out=tmp_path / str(flag), cached=flag), kind)
        for flag in (False, True)
    )
    compared = 0
    for without, with_it in zip(plain, cached, strict=True):
        for name in ("loss", "validation_loss", "grad_norm"):
            if name in without:
                assert with_it[name] == pytest.approx(without[name], rel=5e-6, abs=1e-6), name
                compared += 1
    assert compared >= 8


@pytest.mark.parametrize("kind", STAGES)
def test_a_cached_step_calls_no_encoder_and_holds_no_truth(
    world: Path, folder: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of targets and empty cells not even the tokens in the cache are read."""
    config = config_of(world, folder, kind, cached=True)
    stage: Any = build_stage(kind, config)
    people = people_of(kind, config, stage)
    read: list[Path] = []
    plain = EncoderCache.patch_tokens

    def noted(self: EncoderCache, picture: Path, *, flip: bool) -> Tensor:
        read.append(picture)
        return plain(self, picture, flip=flip)

    monkeypatch.setattr(EncoderCache, "patch_tokens", noted)
    batch = next(build_loader(people, batch_size=2, seed=0))
    assert len(read) == int(batch.visible.sum()) < batch.visible.numel()
    assert batch.reference_patches is not None
    assert batch.reference_patches.shape == (*batch.visible.shape, 4, 16)
    assert torch.equal(batch.reference_patches.flatten(2).any(-1), batch.visible)
    stage.clip.black_embedding()
    monkeypatch.setattr(FrozenCLIPVision, "_see", lambda *_: pytest.fail("CLIP was called"))
    before = losses_of(stage, batch)
    other = replace(batch, reference_patches=-batch.reference_patches)
    assert (losses_of(stage, other) != before).all()


@pytest.mark.parametrize("source", ["apm", "oracle"])
def test_the_references_patches_are_told_and_never_the_targets(
    world: Path, folder: Path, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oracle is told the targets' embeddings, as its name says, but not their patches."""
    stage, batch = build(world, folder, "denoiser", prior={"source": source})
    present = torch.tensor([[True, True, True, False]] * 4)
    visible = torch.tensor([[True, False, True, False], [False, True, False, False]] * 2)
    batch = replace(batch, present=present, visible=visible)
    known = stage._encode(batch)
    same = stage._encode(mirrored(batch, ~visible))
    moved = stage._encode(mirrored(batch, visible))
    assert torch.equal(known.reference_patches, same.reference_patches)
    told = known.reference_patches.flatten(2)
    assert torch.equal(told.any(-1), visible)
    assert torch.equal((moved.reference_patches.flatten(2) != told).any(-1), visible)
    if source == "apm":
        assert torch.equal(losses_of(stage, mirrored(batch, ~visible)), losses_of(stage, batch))
    calls: list[int] = []
    plain = FrozenCLIPVision._see
    monkeypatch.setattr(
        FrozenCLIPVision, "_see", lambda self, x: calls.append(len(x)) or plain(self, x)
    )
    stage._encode(batch)
    assert calls == ([6] if source == "apm" else [6, 12]), "references are encoded in one go"


def test_the_embeddings_are_those_of_a_stage_without_patches(world: Path, folder: Path) -> None:
    stage, batch = build(world, folder, "denoiser")
    plain: Any = build_stage(
        "denoiser", with_patches(tiny_config(world, folder, "denoiser"), None, 0)
    )
    found, expected = stage._encode(batch), plain._encode(batch)
    assert torch.equal(found.reference_appearance, expected.reference_appearance)
    assert expected.reference_patches is None


def test_all_that_trains_gets_gradients(world: Path, folder: Path) -> None:
    """Also where no condition was dropped and no cell is empty: processes wait for every one."""
    stage, batch = build(
        world, folder, "denoiser", train={"drop_prior": 0.0, "drop_all": 0.0, "drop_pose": 0.0}
    )
    stage.module.train()
    stage.step(batch).loss.backward()
    missing = [name for name, p in stage.trainable_parameters().items() if p.grad is None]
    assert not missing


def test_patches_alone_can_be_learned_from(world: Path, folder: Path) -> None:
    """Only what reads the patches trains; on one draw of noise the loss falls."""
    stage, batch = build(
        world, folder, "denoiser", train={"drop_prior": 0.0, "drop_all": 0.0, "drop_pose": 0.0}
    )
    learned = list(stage.denoiser.injector.patches.parameters())
    optimizer = torch.optim.Adam(learned, lr=3e-2)
    stage.module.train()
    found = []
    for _ in range(15):
        optimizer.zero_grad()
        loss = stage.step(batch).loss
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    assert found[-1] < 0.998 * found[0], found


def test_workers_serve_what_the_main_process_does(world: Path, folder: Path) -> None:
    config = config_of(world, folder, "denoiser", cached=True)
    people = people_of("denoiser", config, build_stage("denoiser", config))
    first, second = (
        next(build_loader(people, batch_size=3, seed=1, num_workers=workers)) for workers in (0, 2)
    )
    assert first.reference_patches is not None and second.reference_patches is not None
    assert torch.equal(first.reference_patches, second.reference_patches)


def test_a_cache_without_tokens_is_refused_by_name_and_the_command_mends_it(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = with_patches(tiny_config(world, tmp_path / "run", "denoiser"), tmp_path / "cache")
    build_configured(config)
    refused = r"encoders\.cache=.*keeps no patch tokens.*jcdm cache --config FILE --patch_tokens"
    with pytest.raises(ConfigError, match=refused):
        run_training("denoiser", config)
    with pytest.raises(ConfigError, match=refused):
        verify_configured(config)
    prior = with_patches(tiny_config(world, tmp_path / "prior"), tmp_path / "cache")
    run_training("prior", prior)  # the prior reads no patches
    kept = replace(
        config,
        data=replace(config.data, arrangements=1),
        prior=replace(config.prior, predictions=tmp_path / "predicted"),
    )
    assert build_predictions("denoiser", kept) is not None  # nor does asking it
    file = tmp_path / "config.yaml"
    file.write_text(to_yaml(config, tmp_path), encoding="utf-8")
    assert main(["cache", "--config", str(file), "--patch_tokens"]) == 0
    assert main(["cache", "--config", str(file), "--verify"]) == 0
    assert "is right" in capsys.readouterr().out
    run_training("denoiser", config)


def test_weights_and_encoders_that_do_not_fit_are_refused(world: Path, folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"jci\.patch_grid is 2, but .*denoiser has 0"):
        build(world, folder, "motion", unet={"weights": world / "denoiser"})
    with pytest.raises(ConfigError, match=r"jci\.patch_grid is 0, but .*weights has 2"):
        build(world, folder, "motion", jci={"patch_grid": 0})
    with pytest.raises(ConfigError, match=r"jci\.patch_grid is 5.*4 x 4 patches"):
        build(world, folder, "denoiser", jci={"patch_grid": 5})
    config = with_patches(tiny_config(world, folder, "denoiser"), patch_grid=5)
    with pytest.raises(ConfigError, match=r"jci\.patch_grid is 5.*4 x 4 patches"):
        run_training("denoiser", config, dry_run=True)


@pytest.mark.parametrize("kind", STAGES)
def test_the_dry_run_counts_patches(world: Path, folder: Path, kind: str) -> None:
    texts = {
        n: run_training(kind, with_patches(tiny_config(world, folder, kind), None, n), dry_run=True)
        for n in (0, 4)
    }
    shapes = {n: [line.split() for line in (text or "").splitlines()] for n, text in texts.items()}
    told = ["reference_patches", "(4,", "4,", "16,", "16)", "float32"]
    assert told in shapes[4] and told not in shapes[0]
    for n, num_tokens in ((0, 4), (4, 4 + 4 * 16)):
        assert ["tokens", "(4,", f"{num_tokens},", "16)", "float32"] in shapes[n]


def test_the_preview_paints_with_patches(world: Path, folder: Path) -> None:
    stage, batch = build(world, folder, "denoiser")
    one = replace(batch, subjects=batch.subjects[:1], **first_of(batch))
    _, rows = stage.preview(one)
    assert rows.dtype == torch.uint8 and len(rows) == 1


def first_of(batch: Batch) -> dict[str, Tensor]:
    names = ("images", "clip_pixels", "pose_maps", "keypoints", "keypoint_valid")
    return {name: getattr(batch, name)[:1] for name in (*names, "visible", "present", "keys")}
