from dataclasses import replace

import pytest
import torch
from torch import nn

from jcdm.config import OptimConfig
from jcdm.training.optim import build_optimizer, learning_rate, load_optimizer, optimizer_tensors

CONFIG = OptimConfig(learning_rate=1.0, num_warmup_steps=4)


def rates(schedule: str, num_steps: int = 12) -> list[float]:
    config = replace(CONFIG, schedule=schedule)  # type: ignore[arg-type]
    return [learning_rate(step, num_steps, config) for step in range(num_steps)]


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_the_rate_warms_up_to_its_full_value(schedule: str) -> None:
    assert rates(schedule)[:5] == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0])


def test_schedules_fall_as_they_are_called() -> None:
    assert rates("constant")[4:] == [1.0] * 8
    assert rates("linear")[4:] == pytest.approx([1 - i / 8 for i in range(8)])
    assert rates("cosine")[8] == pytest.approx(0.5)
    assert 0 < rates("cosine")[-1] < 0.05


def test_the_rate_without_warm_up() -> None:
    config = replace(CONFIG, num_warmup_steps=0)
    assert learning_rate(0, 1, config) == 1.0


def test_moments_come_back_bit_equal() -> None:
    parameters = {"a": nn.Parameter(torch.ones(3)), "never": nn.Parameter(torch.ones(1))}
    optimizer = build_optimizer(parameters, CONFIG)
    parameters["a"].grad = torch.tensor([1.0, 2.0, 3.0])
    optimizer.step()
    saved = optimizer_tensors(optimizer, parameters)
    assert set(saved) == {"a/exp_avg", "a/exp_avg_sq", "a/step"}
    other = build_optimizer(parameters, CONFIG)
    load_optimizer(other, saved, parameters)
    again = optimizer_tensors(other, parameters)
    assert all(torch.equal(saved[name], again[name]) for name in saved)
    parameters["a"].grad = torch.ones(3)
    optimizer.step()
    assert not torch.equal(saved["a/step"], again["a/step"]), "the copies must be their own"
