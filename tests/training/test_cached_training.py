"""Training from the encoder cache: the same losses as without, and no photograph is read."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from training_world import KINDS, tiny_config

from jcdm.cli.main import main
from jcdm.config import Config
from jcdm.data import dataset
from jcdm.data.loader import build_loader
from jcdm.errors import ConfigError, DataError
from jcdm.models.encoders import FrozenCLIPVision, FrozenVAE
from jcdm.plain import to_yaml
from jcdm.training.encoder_cache import build_configured, verify_configured
from jcdm.training.people import checked_cache, training_people
from jcdm.training.run import run_training
from jcdm.training.stages.build import build_stage


def with_cache(config: Config, cache: Path | None, **data: Any) -> Config:
    data = {"fit": "letterbox", **data}
    return replace(
        config,
        encoders=replace(config.encoders, cache=cache),
        data=replace(config.data, **data),
    )


@pytest.fixture(scope="module")
def cache(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cache") / "encoded"
    done = build_configured(with_cache(tiny_config(world, folder / "unused"), folder))
    assert done is not None and "32 photographs, 32 different ones" in done
    return folder


@pytest.fixture(scope="module")
def caches(world: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A cache for each stage; the sequences of the motion stage are another index."""
    folder = tmp_path_factory.mktemp("cache") / "sequences"
    build_configured(with_cache(tiny_config(world, folder / "unused", "motion"), folder))
    return {"prior": cache, "denoiser": cache, "motion": folder}


def checked(config: Config, stage: Any) -> Any:
    return checked_cache(config, stage.clip, getattr(stage, "vae", None))


def losses(config: Config, kind: str) -> list[dict[str, float]]:
    run_training(kind, config)
    text = (config.run.out / "metrics.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("kind", KINDS)
def test_losses_with_the_cache_are_those_without(
    world: Path, caches: dict[str, Path], tmp_path: Path, kind: str
) -> None:
    plain = with_cache(tiny_config(world, tmp_path / "plain", kind), None)
    cached = with_cache(tiny_config(world, tmp_path / "cached", kind), caches[kind])
    pairs = zip(losses(plain, kind), losses(cached, kind), strict=True)
    for without, with_it in pairs:
        for name in ("loss", "validation_loss", "grad_norm"):
            if name in without:
                assert with_it[name] == pytest.approx(without[name], rel=1e-6 * 5, abs=1e-6), name


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_reads_no_photograph_and_calls_no_encoder(
    world: Path, caches: dict[str, Path], tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = with_cache(tiny_config(world, tmp_path, kind), caches[kind])
    stage = build_stage(kind, config)
    people = training_people(kind, config, stage.clip.image_size, checked(config, stage))
    stage.clip.black_embedding()
    if kind != "prior":
        stage.vae.black_latents(config.data.height, config.data.width)  # type: ignore[attr-defined]
    for owner, name in (
        (dataset, "load_image"),
        (FrozenVAE, "encode"),
        (FrozenCLIPVision, "embed"),
    ):
        monkeypatch.setattr(owner, name, lambda *_, name=name: pytest.fail(f"{name} was called"))
    batch = next(build_loader(people, batch_size=2, seed=0))
    assert batch.images.numel() == batch.clip_pixels.numel() == 0
    assert (batch.latent_mean is None) == (kind == "prior")
    assert torch.isfinite(stage.step(batch).loss)


def test_workers_serve_what_the_main_process_does(world: Path, cache: Path, tmp_path: Path) -> None:
    config = with_cache(tiny_config(world, tmp_path, "denoiser"), cache)
    stage = build_stage("denoiser", config)
    people = training_people("denoiser", config, 32, checked(config, stage))
    batches = [
        next(build_loader(people, batch_size=3, seed=1, num_workers=workers)) for workers in (0, 2)
    ]
    assert batches[0].latent_mean is not None and batches[1].latent_mean is not None
    assert torch.equal(batches[0].latent_mean, batches[1].latent_mean)


def test_empty_cells_are_black_in_the_cache_too(world: Path, cache: Path, tmp_path: Path) -> None:
    plain, cached = (
        with_cache(tiny_config(world, tmp_path, "denoiser"), folder, grid_rows=2, grid_cols=3)
        for folder in (None, cache)
    )
    stage = build_stage("denoiser", replace(plain, data=replace(plain.data, grid_cols=2)))
    samples = [
        training_people("denoiser", config, 32, checked(config, stage)).sample(1)
        for config in (plain, cached)
    ]
    assert (~samples[0].present).sum() == 2 and torch.equal(samples[0].present, samples[1].present)
    empty = ~samples[1].present
    moments = stage.vae.encode(samples[0].images[empty])  # type: ignore[attr-defined]
    assert samples[1].latent_mean is not None and samples[1].appearance is not None
    torch.testing.assert_close(samples[1].latent_mean[empty], moments.mean, rtol=1e-4, atol=1e-5)
    black = stage.clip.black_embedding().expand(2, -1)
    torch.testing.assert_close(samples[1].appearance[empty], black, rtol=1e-4, atol=1e-5)


def test_a_resumed_run_goes_on_in_the_cache(world: Path, cache: Path, tmp_path: Path) -> None:
    whole = losses(with_cache(tiny_config(world, tmp_path / "whole"), cache), "prior")
    first = tiny_config(world, tmp_path / "cut", checkpoint_every=2)
    cut = with_cache(replace(first, train=replace(first.train, num_steps=2)), cache)
    losses(cut, "prior")
    rest = with_cache(tiny_config(world, tmp_path / "cut", checkpoint_every=2), cache)
    assert [row["loss"] for row in losses(rest, "prior") if "loss" in row] == [
        row["loss"] for row in whole if "loss" in row
    ]


def test_pictures_cut_at_random_have_no_cache(world: Path, cache: Path, tmp_path: Path) -> None:
    config = with_cache(tiny_config(world, tmp_path, "denoiser"), cache, fit="crop")
    with pytest.raises(ConfigError, match=r"data\.random_crop=false"):
        run_training("denoiser", config)
    centre = replace(config, data=replace(config.data, random_crop=False))
    with pytest.raises(ConfigError, match="fit letterbox, this run has crop"):
        run_training("denoiser", centre)
    with pytest.raises(ConfigError, match=r"encoders\.layout=view"):
        replace(config.encoders, layout="grid")


def test_a_centre_crop_can_be_cached(world: Path, tmp_path: Path) -> None:
    centre = {"fit": "crop", "random_crop": False}
    config = with_cache(
        tiny_config(world, tmp_path / "run", "denoiser"), tmp_path / "cache", **centre
    )
    build_configured(config)
    plain = with_cache(tiny_config(world, tmp_path / "plain", "denoiser"), None, **centre)
    ours, theirs = losses(config, "denoiser"), losses(plain, "denoiser")
    assert ours[-1]["loss"] == pytest.approx(theirs[-1]["loss"], rel=1e-5)


def test_the_command_builds_verifies_and_finds_damage(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    people = tmp_path / "people"
    shutil.copytree(world / "people", people)
    config = with_cache(tiny_config(world, tmp_path / "run", "denoiser"), tmp_path / "cache")
    config = replace(config, data=replace(config.data, index=people / "index.json"))
    (tmp_path / "config.yaml").write_text(to_yaml(config, tmp_path), encoding="utf-8")
    words = ["cache", "--config", str(tmp_path / "config.yaml")]
    assert main([*words, "--dtype", "bfloat16", "--appearance_only"]) == 0
    assert "inside the encoders" in capsys.readouterr().out
    assert main([*words, "--verify"]) == 0
    assert "is right" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="made for something else: vae None"):
        run_training("denoiser", config)
    assert main(words) == 0
    next(people.rglob("*.jpg")).write_bytes(b"other")
    capsys.readouterr()
    assert main([*words, "--verify"]) == 1
    said = capsys.readouterr()
    assert "has changed since the cache was built" in said.out and "problems" in said.err
    with pytest.raises(DataError, match="is stale"):
        run_training("denoiser", config)
    assert main([*words, "--dtype", "float8"]) == 1
    assert "--dtype is 'float8'" in capsys.readouterr().err
    assert main([*words, "--encoders.cache=s3://bucket/cache"]) == 1
    assert "expected a local folder" in capsys.readouterr().err


def test_nothing_is_wrong_with_a_new_cache(world: Path, cache: Path, tmp_path: Path) -> None:
    assert verify_configured(with_cache(tiny_config(world, tmp_path), cache)) == []
