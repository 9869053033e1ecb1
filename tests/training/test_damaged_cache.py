"""Caches of a data set with broken pictures: what they lack is what training does without."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from training_world import tiny_config

from jcdm.config import Config
from jcdm.data.index import read_index
from jcdm.errors import ConfigError, DataError
from jcdm.logs import read_metrics
from jcdm.training.encoder_cache import build_configured, verify_configured
from jcdm.training.kept_predictions import build_predictions
from jcdm.training.run import run_training

Make = Callable[..., Config]


@pytest.fixture(scope="module")
def damaged(world: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Path]]:
    """People of whom two to learn from have a broken view, and one of the others."""
    data = tmp_path_factory.mktemp("damaged") / "people"
    shutil.copytree(world / "people", data)
    train, test = (read_index(data / "index.json", split) for split in ("train", "test"))
    bad = [train[0].views[1].image, train[2].views[3].image, test[0].views[0].image]
    for path in bad[1:]:
        path.write_bytes(path.read_bytes()[:300])
    bad[0].unlink()
    return data, bad


@pytest.fixture(scope="module")
def make(world: Path, damaged: tuple[Path, list[Path]], tmp_path_factory: Any) -> Make:
    """Make configurations of a stage with caches below one folder."""
    caches = tmp_path_factory.mktemp("caches")

    def new(
        out: Path, *, cached: bool = True, kept: bool = False, on_bad: str = "skip", kind: str
    ) -> Config:
        base = tiny_config(world, out, kind)
        return replace(
            base,
            data=replace(
                base.data,
                index=damaged[0] / "index.json",
                fit="letterbox",
                arrangements=2,
                on_bad=on_bad,
            ),
            encoders=replace(base.encoders, cache=caches / "encoded" if cached else None),
            prior=replace(base.prior, predictions=caches / "kept" if kept else None),
        )

    return new


@pytest.fixture(scope="module")
def built(make: Make, damaged: tuple[Path, list[Path]], tmp_path_factory: Any) -> Path:
    config = make(tmp_path_factory.mktemp("unused"), kind="denoiser")
    done = build_configured(config)
    assert done is not None and "29 photographs" in done and "; 3 left out, first: " in done
    assert config.encoders.cache is not None
    manifest = json.loads((config.encoders.cache / "cache.json").read_text())
    names = {str(path.relative_to(damaged[0])) for path in damaged[1]}
    assert manifest["left_out"].keys() == names and not names & manifest["photographs"].keys()
    return config.encoders.cache


@pytest.mark.parametrize("kind", ["prior", "denoiser"])
def test_training_does_without_what_its_cache_lacks(
    make: Make, built: Path, damaged: tuple[Path, list[Path]], tmp_path: Path, kind: str
) -> None:
    plain = make(tmp_path / "plain", cached=False, kind=kind)
    cached = make(tmp_path / "cached", kind=kind)
    for config in (plain, cached):
        run_training(kind, config)
    lists = [json.loads((c.run.out / "skipped_pictures.json").read_text()) for c in (plain, cached)]
    assert lists[0]["training"]["skipped"] == lists[1]["training"]["skipped"]
    assert len(lists[1]["training"]["skipped"]) == 2 and lists[1]["training"]["num_checked"] == 0
    assert lists[1]["validation"]["skipped"].keys() == {str(damaged[1][2].relative_to(damaged[0]))}
    metrics = (read_metrics(c.run.out / "metrics.jsonl") for c in (plain, cached))
    for without, with_it in zip(*metrics, strict=True):
        for name in {"loss", "validation_loss"} & without.keys():
            assert with_it[name] == pytest.approx(without[name], rel=5e-6), name


def test_predictions_are_those_of_the_same_people(make: Make, built: Path, tmp_path: Path) -> None:
    asked = make(tmp_path / "asked", kind="denoiser")
    kept = make(tmp_path / "kept", kept=True, kind="denoiser")
    done = build_predictions("denoiser", kept)
    assert done is not None and "4 people" in done
    for config in (asked, kept):
        run_training("denoiser", config)
    metrics = (read_metrics(c.run.out / "metrics.jsonl") for c in (asked, kept))
    for without, with_it in zip(*metrics, strict=True):
        if "loss" in without:
            assert with_it["loss"] == pytest.approx(without["loss"], rel=5e-6)


def test_with_error_such_a_cache_is_neither_built_nor_used(
    make: Make, built: Path, damaged: tuple[Path, list[Path]], tmp_path: Path
) -> None:
    strict = make(tmp_path, on_bad="error", kind="denoiser")
    with pytest.raises(DataError, match=r"lacks 3 of 32 photographs, first: .* \(left out when"):
        run_training("denoiser", strict)
    problems = verify_configured(strict)
    assert len(problems) == 3 and all("was left out: picture" in line for line in problems)
    other = replace(strict, encoders=replace(strict.encoders, cache=tmp_path / "other"))
    with pytest.raises(DataError, match=r"not found"):
        build_configured(other)
    assert verify_configured(make(tmp_path, kind="denoiser")) == []


def test_a_repaired_photograph_makes_its_cache_stale(
    make: Make, built: Path, damaged: tuple[Path, list[Path]], tmp_path: Path
) -> None:
    data, bad = damaged
    config = make(tmp_path, kind="prior")
    cut = bad[1].read_bytes()
    os.utime(bad[1])  # copied, and as broken as before
    run_training("prior", config)
    good = read_index(data / "index.json", "train")[1].views[0].image
    try:
        shutil.copy(good, bad[1])
        assert any("has changed since" in line for line in verify_configured(config))
        with pytest.raises(DataError, match=rf"is stale: {bad[1]} has changed since"):
            run_training("prior", config)
    finally:
        bad[1].write_bytes(cut)


def test_a_cache_of_nothing_is_refused(world: Path, tmp_path: Path) -> None:
    data = tmp_path / "people"
    data.mkdir()
    shutil.copy(world / "people" / "index.json", data)
    base = tiny_config(world, tmp_path / "run")
    config = replace(
        base,
        data=replace(base.data, index=data / "index.json", fit="letterbox", on_bad="skip"),
        encoders=replace(base.encoders, cache=tmp_path / "cache"),
    )
    with pytest.raises(DataError, match=r"none of 32 photographs can be read, first: picture"):
        build_configured(config)
    with pytest.raises((DataError, ConfigError)):
        run_training("prior", config)
