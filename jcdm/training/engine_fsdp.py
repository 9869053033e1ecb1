"""Weights, gradients, moments and averages shared out over the processes by torch's FSDP 2."""

from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.distributed.fsdp import register_fsdp_forward_method

from jcdm.config import Config
from jcdm.errors import ConfigError
from jcdm.training.acceleration import compiled_blocks
from jcdm.training.engine import ENGINE_FOLDER, Gathered, PlainEngine, Wrapped
from jcdm.training.optim import build_optimizer
from jcdm.training.stages.base import Stage
from jcdm.training.state import RunState

FORWARD_METHODS = ("condition", "predict")  # what pipelines call of a denoiser past its forward


class FSDPEngine(PlainEngine):
    """FSDP 2 as accelerate runs it; training is continued from its own files, not bit by bit.

    The files can be read by another number of processes. Every block of the U-Net, or layer of the
    prior, is gathered when it computes.
    """

    name = "fsdp"
    in_lockstep = True

    def __init__(self, accelerator: Accelerator, config: Config) -> None:
        super().__init__(accelerator, config)
        if not accelerator.is_fsdp2:
            raise ConfigError(
                "accelerate was launched with FSDP 1; expected version 2. Set fsdp_version: 2, as "
                "configs/accelerate/fsdp.yaml does."
            )

    def wrap(self, stage: Stage) -> Wrapped:
        """Share out the module, which stays the same object, and build its optimizer."""
        module: Any = stage.module
        self.plain_kind = type(module)
        plugin = self.accelerator.state.fsdp_plugin
        names = {type(block).__name__ for block in compiled_blocks(module)}
        plugin.transformer_cls_names_to_wrap = sorted(names)
        optimizer = build_optimizer(stage.trainable_parameters(), self.config.optim)
        stage.module, prepared = self.accelerator.prepare(module, optimizer)
        for name in FORWARD_METHODS:
            if hasattr(module, name):
                register_fsdp_forward_method(module, name)
        return Wrapped(parameters=stage.trainable_parameters(), optimizer=prepared)

    def clip(self, parameters: list[nn.Parameter]) -> Tensor:
        """Clip the gradients; returns their norm, which every process has whole."""
        norm: Any = super().clip(parameters)
        return norm.full_tensor()

    def gather(self, state: RunState, spare: Path) -> Gathered:
        """Gather weights and averages; moments stay shared out in files of FSDP's own."""
        self.accelerator.save_state(str(spare))
        module: Any = state.module
        weights = self.accelerator.get_state_dict(module)
        averages = state.averages.tensors()
        twin = module
        if self.accelerator.is_main_process:
            with torch.device("meta"):
                twin = self.plain_kind.from_config(module.config)
            twin.load_state_dict(weights, assign=True)
        return Gathered(module=twin, averages=averages, moments=None, folder=spare)

    def load(self, folder: Path, state: RunState) -> None:
        """Let every process read its share."""
        self.accelerator.load_state(str(folder / ENGINE_FOLDER))
