"""Kept predictions of the frozen prior: the same losses as without, and nobody asks it again."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from training_world import tiny_config

from jcdm.cache import predict
from jcdm.cache.build import CacheWork
from jcdm.cli.main import main
from jcdm.config import Config
from jcdm.data.loader import collate
from jcdm.errors import ConfigError, DataError
from jcdm.plain import to_yaml
from jcdm.training import kept_predictions
from jcdm.training.encoder_cache import build_configured
from jcdm.training.kept_predictions import attach_predictions, build_predictions
from jcdm.training.people import checked_cache, training_people
from jcdm.training.run import run_training
from jcdm.training.stages import appearance
from jcdm.training.stages.build import build_stage

NUM_ARRANGEMENTS = 2
KINDS = ("denoiser", "motion")


@pytest.fixture(scope="module")
def caches(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the encoders make of the photographs, and the predictions, for both kinds."""
    folder = tmp_path_factory.mktemp("kept")
    for kind in KINDS:
        build_configured(config_of(world, folder / "unused", kind, folder, kept=False))
        done = build_predictions(kind, config_of(world, folder / "unused", kind, folder))
        assert done is not None and "in 2 arrangements each" in done
    return folder


def config_of(
    world: Path, out: Path, kind: str, caches: Path, *, kept: bool = True, **train: Any
) -> Config:
    config = tiny_config(world, out, kind, **train)
    motion = replace(config.motion, axis="frames" if kind == "motion" else "views", num_frames=2)
    return replace(
        config,
        motion=motion,
        data=replace(config.data, fit="letterbox", arrangements=NUM_ARRANGEMENTS),
        encoders=replace(config.encoders, cache=caches / f"{kind}_encoded"),
        prior=replace(config.prior, predictions=caches / f"{kind}_predicted" if kept else None),
    )


def losses(config: Config, kind: str) -> list[float]:
    run_training(kind, config)
    text = (config.run.out / "metrics.jsonl").read_text(encoding="utf-8")
    return [row["loss"] for line in text.splitlines() if "loss" in (row := json.loads(line))]


@pytest.mark.parametrize("kind", KINDS)
def test_losses_with_kept_predictions_are_those_without(
    world: Path, caches: Path, tmp_path: Path, kind: str
) -> None:
    plain = losses(config_of(world, tmp_path / "plain", kind, caches, kept=False), kind)
    kept = losses(config_of(world, tmp_path / "kept", kind, caches), kind)
    assert kept == pytest.approx(plain, rel=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_asks_the_prior_in_a_step(
    world: Path,
    caches: Path,
    tmp_path: Path,
    kind: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = config_of(world, tmp_path, kind, caches, num_validation_subjects=0)
    monkeypatch.setattr(
        appearance, "predict_appearance", lambda *_, **__: pytest.fail("the prior was asked")
    )
    assert len(losses(config, kind)) == 4
    without = config_of(world, tmp_path / "x", kind, caches, kept=False, num_validation_subjects=0)
    with pytest.raises(pytest.fail.Exception, match="was asked"):
        run_training(kind, without)


def test_arrangements_come_again_with_other_noise(world: Path, tmp_path: Path) -> None:
    config = config_of(world, tmp_path, "denoiser", tmp_path, kept=False)
    config = replace(config, encoders=replace(config.encoders, cache=None))
    people = training_people("denoiser", config, 32)
    first, second, third = (people.sample(0, epoch) for epoch in range(3))
    assert first.arrangement == third.arrangement != second.arrangement
    assert len({first.key, second.key, third.key}) == 3
    for name in ("images", "clip_pixels", "keypoints", "visible"):
        assert torch.equal(getattr(first, name), getattr(third, name)), name
    assert not torch.equal(first.images, second.images)
    assert torch.equal(collate([first, second]).prior_keys[:1], torch.tensor([first.arrangement]))


def test_without_repeated_arrangements_all_is_drawn_from_the_key(
    world: Path, tmp_path: Path
) -> None:
    people = training_people("denoiser", tiny_config(world, tmp_path, "denoiser"), 32)
    for epoch in range(3):
        sample = people.sample(1, epoch)
        assert sample.arrangement == sample.key


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("run", "seed", 5),
        ("prior", "training_steps", 3),
        ("data", "arrangements", 3),
        ("data", "flip_probability", 0.25),
    ],
)
def test_predictions_of_something_else_are_refused_by_name(
    world: Path, caches: Path, tmp_path: Path, section: str, key: str, value: Any
) -> None:
    config = config_of(world, tmp_path, "denoiser", caches)
    other = replace(config, **{section: replace(getattr(config, section), **{key: value})})
    with pytest.raises(ConfigError, match=rf"something else: {section}\.{key} .*this run has"):
        run_training("denoiser", other)


def test_predictions_for_the_other_stage_are_refused(
    world: Path, caches: Path, tmp_path: Path
) -> None:
    config = config_of(world, tmp_path, "motion", caches)
    stage: Any = build_stage("motion", config)
    cache = checked_cache(config, stage.clip, stage.vae)
    people = training_people("denoiser", config, 32, cache)
    with pytest.raises(ConfigError, match="FrameWindowDataset of 2, this run has SequenceDataset"):
        attach_predictions(people, config, clip=stage.clip, prior=stage.prior, cache=cache)


def test_two_processes_write_what_one_does(
    world: Path, caches: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predict, "ROWS_PER_SHARD", 3)
    config = config_of(world, tmp_path / "unused", "denoiser", caches)
    builder = kept_predictions._builder("denoiser", config, "float32")
    alone, together = (replace(builder, folder=tmp_path / name) for name in ("one", "two"))
    alone.build(CacheWork())
    shards = [(number, "") for number in range(3)]
    for rank in (1, 0):
        together.build(
            CacheWork(rank=rank, num_ranks=2, num_workers=rank, gather=lambda _mine: shards)
        )
    names = sorted(path.name for path in alone.folder.glob("*.safetensors"))
    assert len(names) == 3
    for name in names:
        assert (alone.folder / name).read_bytes() == (together.folder / name).read_bytes()


def test_the_command_builds_resumes_verifies_and_finds_damage(
    world: Path, caches: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "predicted"
    config = config_of(world, tmp_path / "run", "denoiser", caches)
    config = replace(config, prior=replace(config.prior, predictions=folder))
    (tmp_path / "config.yaml").write_text(to_yaml(config, tmp_path), encoding="utf-8")
    words = ["cache", "--config", str(tmp_path / "config.yaml"), "--predictions", "denoiser"]
    with pytest.raises(DataError, match=r"cannot be read.*--predictions STAGE"):
        run_training("denoiser", config)
    assert main([*words, "--dtype=float16"]) == 0
    assert "8 predictions, 4 people in 2 arrangements each" in capsys.readouterr().out
    shard = folder / "predictions_00000.safetensors"
    written = shard.stat().st_mtime_ns
    assert main([*words, "--dtype=float16"]) == 0
    assert shard.stat().st_mtime_ns == written
    assert main([*words, "--verify"]) == 0
    assert "is right" in capsys.readouterr().out
    content = bytearray(shard.read_bytes())
    content[-4:] = b"\x00\x7b\x00\x7b"
    shard.write_bytes(content)
    assert main([*words, "--verify"]) == 1
    said = capsys.readouterr().out
    assert "not the SHA-256 recorded" in said and "now says something else" in said
    shard.write_bytes(b"short")
    with pytest.raises(DataError, match="is damaged or missing"):
        run_training("denoiser", config)
    assert main([*words, "--dtype=float16"]) == 0
    assert main([*words, "--verify"]) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--predictions", "prior"], "expected one of denoiser, motion"),
        (["--predictions", "denoiser", "--prior.predictions=null"], "--prior.predictions=DIR"),
        (["--predictions", "denoiser", "--patch_tokens"], "exclude each other"),
        (["--data.arrangements=0"], "needs data.arrangements >= 1"),
        (["--prior.source=oracle"], "Leave one of them out"),
        (["--predictions=denoiser", "--prior.predictions=s3://b/x"], "expected a local folder"),
    ],
)
def test_wrong_words_get_one_line(
    world: Path,
    caches: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
) -> None:
    config = config_of(world, tmp_path / "run", "denoiser", caches)
    (tmp_path / "config.yaml").write_text(to_yaml(config, tmp_path), encoding="utf-8")
    assert main(["cache", "--config", str(tmp_path / "config.yaml"), *words]) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "[]", '{"format": "jcdm-predictions", "version": 2}', "{}"])
def test_a_damaged_manifest_gets_one_line(
    world: Path, caches: Path, tmp_path: Path, text: str
) -> None:
    config = config_of(world, tmp_path / "run", "denoiser", caches)
    config = replace(config, prior=replace(config.prior, predictions=tmp_path))
    (tmp_path / "predictions.json").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"predictions\.json (holds no|has not)"):
        run_training("denoiser", config)
