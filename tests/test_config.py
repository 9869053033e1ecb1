from dataclasses import replace
from pathlib import Path

import pytest

from jcdm.config import (
    Config,
    DataConfig,
    EncodersConfig,
    OptimConfig,
    RunConfig,
    ScheduleConfig,
    TrainConfig,
    UNetConfig,
    VisibilityConfig,
)
from jcdm.errors import ConfigError


def make_config() -> Config:
    return Config(
        run=RunConfig(out=Path("out")),
        data=DataConfig(index=Path("index.json"), height=128, width=96),
        encoders=EncodersConfig(vae=Path("vae"), image_encoder=Path("clip")),
        optim=OptimConfig(learning_rate=1e-4),
        train=TrainConfig(num_steps=10, batch_size=2),
    )


def test_sizes_must_fit_vae_and_unet_levels():
    config = make_config()
    with pytest.raises(ConfigError, match=r"data\.width is 96.*multiple of 64"):
        config.validate(vae_factor=8)
    levels = UNetConfig(block_out_channels=(32, 32), attention_levels=(False, True))
    replace(config, unet=levels).validate(vae_factor=8)


def test_one_cell_must_stay_a_target():
    data = replace(make_config().data, visibility=VisibilityConfig(max_references=4))
    config = replace(make_config(), data=replace(data, width=128))
    with pytest.raises(ConfigError, match=r"max_references is 4"):
        config.validate(vae_factor=8)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda: OptimConfig(learning_rate=0), "optim.learning_rate"),
        (lambda: TrainConfig(num_steps=0, batch_size=1), "train.num_steps"),
        (lambda: TrainConfig(num_steps=1, batch_size=1, drop_all=0.9, drop_prior=0.2), "drop_all"),
        (lambda: UNetConfig(attention_levels=(True,)), "unet.attention_levels"),
        (lambda: UNetConfig(norm_num_groups=7), "unet.norm_num_groups"),
        (lambda: ScheduleConfig(num_train_timesteps=1), "schedule.num_train_timesteps"),
        (lambda: ScheduleConfig(beta_start=0.0), "schedule.beta_start"),
        (lambda: ScheduleConfig(beta_start=0.02), "schedule.beta_end"),
        (lambda: ScheduleConfig(beta_end=1.0), "schedule.beta_end"),
        (lambda: ScheduleConfig(beta_end=float("nan")), "schedule.beta_end"),
        (lambda: VisibilityConfig(min_references=2, max_references=1), "max_references"),
    ],
)
def test_wrong_values_are_named(change, named):
    with pytest.raises(ConfigError, match=named):
        change()
