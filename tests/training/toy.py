"""A stage that fits a line, and people of one pixel: enough for the loop and the checkpoints."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn

from jcdm.config import Config, DataConfig, EncodersConfig, OptimConfig, RunConfig, TrainConfig
from jcdm.records import NUM_KEYPOINTS, Batch, StepOutput
from jcdm.seeding import draw_normal, sample_key
from jcdm.training.loop import Trainer


class Line(ModelMixin, ConfigMixin):
    @register_to_config
    def __init__(self, width: int = 3) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(-1, 1, width))
        self.bias = nn.Parameter(torch.zeros(1))
        self.fixed = nn.Parameter(torch.ones(1), requires_grad=False)
        self.register_buffer("scale", torch.tensor(2.0))

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * (x @ self.weight + self.bias) * self.fixed


class ToyStage:
    """Fits y = x.sum(), the samples' numbers derived from their keys. `poison`: keys of NaN."""

    part = "prior"

    def __init__(self, width: int = 3, poison: tuple[int, ...] = ()) -> None:
        self.module: nn.Module = Line(width=width)
        self.frozen: dict[str, nn.Module] = {}
        self.width = width
        self.poison = torch.tensor(poison, dtype=torch.int64)

    def trainable_parameters(self) -> dict[str, nn.Parameter]:
        return {n: p for n, p in self.module.named_parameters() if p.requires_grad}

    def step(self, batch: Batch) -> StepOutput:
        x = draw_normal(batch.keys, "x", (self.width,))
        x = torch.where(torch.isin(batch.keys, self.poison)[:, None], torch.nan, x)
        per_sample = (self.module(x) - x.sum(1)).square()
        logs = {"target_loss": per_sample.detach().mean()}
        return StepOutput(loss=per_sample.mean(), per_sample=per_sample, logs=logs)

    def preview(self, batch: Batch, num_steps: int) -> tuple[dict[str, float], None]:
        return {"cosine": 0.5}, None


def toy_config(out: Path, **train: Any) -> Config:
    settings = {"num_steps": 4, "batch_size": 2, "log_every": 1, "checkpoint_every": 2} | train
    return Config(
        run=RunConfig(out=out),
        data=DataConfig(index=out / "index.json", height=8, width=8),
        encoders=EncodersConfig(vae=out / "vae", image_encoder=out / "clip"),
        optim=OptimConfig(learning_rate=0.05, schedule="cosine", num_warmup_steps=2),
        train=TrainConfig(ema_decay=0.9, **settings),
    )


def toy_key(number: int) -> int:
    return sample_key(0, 0, number)


def toy_batch(numbers: range) -> Batch:
    count = len(numbers)
    return Batch(
        images=torch.zeros(count, 2, 3, 1, 1),
        clip_pixels=torch.zeros(count, 2, 3, 1, 1),
        pose_maps=torch.zeros(count, 2, 3, 1, 1),
        keypoints=torch.zeros(count, 2, NUM_KEYPOINTS, 2),
        keypoint_valid=torch.zeros(count, 2, NUM_KEYPOINTS, dtype=torch.bool),
        visible=torch.tensor([[True, False]] * count),
        present=torch.ones(count, 2, dtype=torch.bool),
        subjects=tuple(str(number) for number in numbers),
        keys=torch.tensor([toy_key(number) for number in numbers]),
    )


def toy_batches(batch_size: int, start: int = 0) -> Iterator[Batch]:
    """Micro-batches of the people 0, 1, 2, ... in order, from number `start` on."""
    while True:
        yield toy_batch(range(start, start + batch_size))
        start += batch_size


def new_trainer(config: Config, stage: ToyStage | None = None) -> Trainer:
    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=config.train.accumulation)
    return Trainer(stage or ToyStage(), config, accelerator)
