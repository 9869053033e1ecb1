"""The configured preset and its changes reach the painting of views and of sequences."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import tiny_world as world
import yaml

from jcdm.errors import CheckpointError, ConfigError
from jcdm.evaluation import loading, score_images, score_sequence
from jcdm.pipelines.multiview import JCDMPipeline
from jcdm.pipelines.sequence import JCDMSequencePipeline

SETTINGS: dict[str, Any] = {"preset": "low-memory", "guidance_end": 0.5, "num_steps": 4}


@pytest.fixture(scope="module")
def pipeline_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return world.save_pipeline(tmp_path_factory.mktemp("pipeline"))


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return world.save_people(tmp_path_factory.mktemp("data") / "people", num_people=2, num_views=5)


def rows_a_step(pipeline: Any) -> list[int]:
    """Number of grids at every call of the U-Net from now on."""
    rows: list[int] = []
    pipeline.denoiser.unet.register_forward_pre_hook(lambda _, given: rows.append(len(given[0])))
    return rows


def test_views_are_painted_as_configured(
    tmp_path: Path, pipeline_folder: Path, people: Path
) -> None:
    config = world.make_config(tmp_path, people, pipeline_folder, **SETTINGS)
    pipeline = loading.load_pipeline(JCDMPipeline, config.sample)
    (batch,) = score_images.evaluation_batches(config, pipeline, pipeline.denoiser.grid)
    rows = rows_a_step(pipeline)
    score_images.paint_methods(pipeline, batch, config)
    assert rows == [2, 2, 2, 2, 1, 1, 1, 1], "two people apart, guidance in the first half"


def test_sequences_are_painted_as_configured(
    tmp_path: Path, pipeline_folder: Path, people: Path
) -> None:
    config = world.make_config(tmp_path, people, pipeline_folder, **SETTINGS)
    pipeline = loading.load_pipeline(JCDMSequencePipeline, config.sample)
    record, _ = score_sequence.unseen_people(config, pipeline)
    sequence = score_sequence.read_sequence(record, (world.HEIGHT, world.WIDTH), "crop", 2)
    rows = rows_a_step(pipeline)
    score_sequence.paint_methods(pipeline, sequence, config, 1)
    num_windows = len(rows) // 4  # of the U-Net with motion; without, another object paints
    assert rows == [2] * (2 * num_windows) + [1] * (2 * num_windows) and num_windows > 1


def test_a_sequence_has_no_other_source_of_appearance(
    tmp_path: Path, pipeline_folder: Path, people: Path
) -> None:
    config = world.make_config(tmp_path, people, pipeline_folder, prior_source="mean")
    pipeline = loading.load_pipeline(JCDMSequencePipeline, config.sample)
    record, _ = score_sequence.unseen_people(config, pipeline)
    sequence = score_sequence.read_sequence(record, (world.HEIGHT, world.WIDTH), "crop", 2)
    with pytest.raises(ConfigError, match="prior_source is 'mean'; expected 'apm'"):
        score_sequence.paint_methods(pipeline, sequence, config, 1)


def test_a_runs_denoiser_is_sampled_with_the_noise_levels_of_its_training(
    tmp_path: Path, pipeline_folder: Path, people: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(pipeline_folder / "denoiser", run / "final")
    stored = {"schedule": {"zero_terminal_snr": False, "beta_end": 0.02}}
    (run / "config.yaml").write_text(yaml.safe_dump(stored), encoding="utf-8")
    for named in (run, run / "final"):
        config = world.make_config(tmp_path, people, pipeline_folder, denoiser=named)
        levels = loading.load_pipeline(JCDMPipeline, config.sample).scheduler.config
        assert not levels.rescale_betas_zero_snr and levels.beta_end == 0.02
    own = world.make_config(tmp_path, people, pipeline_folder)
    assert loading.load_pipeline(JCDMPipeline, own.sample).scheduler.config.beta_end == 0.012
    (run / "config.yaml").write_text("schedule: [1]", encoding="utf-8")
    with pytest.raises(CheckpointError, match="names no noise schedule"):
        loading.load_pipeline(JCDMPipeline, config.sample)
