"""Who holds weights and moments: every process all of them, or an engine that shares them out."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from torch import Tensor, nn

from jcdm.config import Config
from jcdm.training.optim import build_optimizer, load_optimizer, optimizer_tensors, skip_unless
from jcdm.training.stages.base import Stage
from jcdm.training.state import RunState
from jcdm.training.weights import load_module, read_folder_tensors, read_tensors

OPTIMIZER_FILE = "optimizer.safetensors"
ENGINE_FOLDER = "engine"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrapped:
    """A stage made ready: its trained parameters by name, as they are now, and the optimizer."""

    parameters: Mapping[str, nn.Parameter]
    optimizer: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """What a checkpoint stores, whole on the main process.

    module: to be saved with `save_pretrained`; moments: None where `folder` holds them, which an
    engine wrote in its own format.
    """

    module: nn.Module
    averages: Mapping[str, Tensor]
    moments: Mapping[str, Tensor] | None
    folder: Path | None = None


class PlainEngine:
    """Every process holds all weights, averages and moments; resumes are bit-equal.

    in_lockstep: forward passes are joint work, so that all processes must make equally many.
    leaves_out: a step whose gradient is not finite is left out; else it ruins the weights.
    """

    name = "plain"
    in_lockstep = False
    leaves_out = True

    def __init__(self, accelerator: Accelerator, config: Config) -> None:
        self.accelerator = accelerator
        self.config = config

    def wrap(self, stage: Stage) -> Wrapped:
        """Hand the stage's module to the processes and build its optimizer; call once."""
        parameters = stage.trainable_parameters()
        stage.module = self.accelerator.prepare_model(stage.module)
        optimizer = build_optimizer(parameters, self.config.optim)
        prepared = self.accelerator.prepare_optimizer(optimizer)
        return Wrapped(parameters=parameters, optimizer=prepared)

    def clip(self, parameters: list[nn.Parameter]) -> Tensor:
        """Clip the gradients; returns their norm over all processes, a scalar on the device."""
        norm = self.accelerator.clip_grad_norm_(parameters, self.config.optim.max_grad_norm)
        return norm.float()

    def move(self, optimizer: Any, taken: Tensor) -> None:
        """Take an optimizer step where `taken` (scalar bool) says so, and drop the gradients."""
        if self.accelerator.scaler is None:  # a loss scaler leaves steps out by itself, and adapts
            skip_unless(optimizer, taken)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    def gather(self, state: RunState, spare: Path) -> Gathered:
        """Bring together what a checkpoint stores; all processes call it.

        spare: a path beside the checkpoints where an engine may write a folder of its own.
        """
        return Gathered(
            module=state.module,
            averages=state.averages.tensors(),
            moments=optimizer_tensors(state.optimizer, state.parameters),
        )

    def load(self, folder: Path, state: RunState) -> None:
        """Fill weights and moments from a verified checkpoint; all processes call it."""
        weights = folder / state.part
        load_module(state.module, read_folder_tensors(weights), weights)
        load_optimizer(state.optimizer, read_tensors(folder / OPTIMIZER_FILE), state.parameters)
