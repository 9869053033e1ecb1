"""Gradients and moments shared out over the processes by DeepSpeed's ZeRO, stage 1 or 2."""

from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from jcdm.config import Config
from jcdm.errors import ConfigError
from jcdm.training.engine import ENGINE_FOLDER, Gathered, PlainEngine, Wrapped
from jcdm.training.optim import build_optimizer
from jcdm.training.stages.base import Stage
from jcdm.training.state import RunState


class DeepSpeedEngine(PlainEngine):
    """ZeRO 1 or 2 as accelerate runs it; training is continued from its own files, not bit by bit.

    Weights stay whole and float32 on every process, computed on in bf16 by autocast: DeepSpeed's
    own bf16 would round them, and the averages with them. It takes its step within the backward
    pass, so that a step cannot be left out. Its files need as many processes as wrote them.
    """

    name = "deepspeed"
    leaves_out = False

    def __init__(self, accelerator: Accelerator, config: Config) -> None:
        super().__init__(accelerator, config)
        settings = accelerator.state.deepspeed_plugin.deepspeed_config
        if (stage := settings["zero_optimization"]["stage"]) > 2:
            raise ConfigError(
                f"accelerate was launched with DeepSpeed ZeRO {stage}; expected stage 1 or 2, "
                "which leave weights whole. To share weights, use configs/accelerate/fsdp.yaml."
            )
        settings["train_micro_batch_size_per_gpu"] = config.train.batch_size
        settings["gradient_accumulation_steps"] = config.train.accumulation
        settings["gradient_clipping"] = config.optim.max_grad_norm
        settings["zero_allow_untested_optimizer"] = True

    def wrap(self, stage: Stage) -> Wrapped:
        """Hand the module to DeepSpeed; its parameters stay the same objects."""
        module: Any = stage.module
        if self.config.train.mixed_precision == "bf16":
            device = self.accelerator.device.type
            module.forward = torch.autocast(device, torch.bfloat16)(module.forward)
        parameters = stage.trainable_parameters()
        optimizer = build_optimizer(parameters, self.config.optim)
        stage.module, prepared = self.accelerator.prepare(module, optimizer)
        self.engine: Any = stage.module
        return Wrapped(parameters=parameters, optimizer=prepared)

    def clip(self, parameters: list[nn.Parameter]) -> Tensor:
        """Return the norm of the gradients, which DeepSpeed has clipped and used by now."""
        norm = torch.as_tensor(self.engine.get_global_grad_norm(), dtype=torch.float32)
        return norm.to(self.accelerator.device)

    def move(self, optimizer: Any, taken: Tensor) -> None:
        """Do nothing: the step was taken within the last backward pass."""

    def gather(self, state: RunState, spare: Path) -> Gathered:
        """Let every process write its share of the moments; weights are whole already."""
        self.accelerator.save_state(str(spare))
        averages = state.averages.tensors()
        return Gathered(module=state.module, averages=averages, moments=None, folder=spare)

    def load(self, folder: Path, state: RunState) -> None:
        """Let every process read its share."""
        self.accelerator.load_state(str(folder / ENGINE_FOLDER))
