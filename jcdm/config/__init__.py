"""The configuration of a training run: a tree of frozen dataclasses, one section a concern.

Precedence: dataclass default < YAML < --section.key=value. A field without default is required.
Every section checks itself in `__post_init__`; `Config.validate` checks relations between sections.
Reading YAML and options lives in `jcdm.cli.options`.
"""

from jcdm.config.data import DataConfig, DrawConfig, OnBad, TestDataConfig, VisibilityConfig
from jcdm.config.learning import OptimConfig, Precision, ScheduleConfig, TrainConfig
from jcdm.config.models import (
    EncodersConfig,
    JCIConfig,
    MotionConfig,
    MotionStageConfig,
    PriorConfig,
    UNetConfig,
)
from jcdm.config.sampling import SampleConfig
from jcdm.config.trees import Config, RunConfig, TestConfig

__all__ = [
    "Config",
    "DataConfig",
    "DrawConfig",
    "EncodersConfig",
    "JCIConfig",
    "MotionConfig",
    "MotionStageConfig",
    "OnBad",
    "OptimConfig",
    "Precision",
    "PriorConfig",
    "RunConfig",
    "SampleConfig",
    "ScheduleConfig",
    "TestConfig",
    "TestDataConfig",
    "TrainConfig",
    "UNetConfig",
    "VisibilityConfig",
]
