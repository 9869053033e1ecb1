"""What a run consists of at a step: counters, weights, averages and moments."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from types import NoneType
from typing import Any

from torch import nn

from jcdm.errors import CheckpointError
from jcdm.training.ema import ParameterAverages

_JSON_TYPES = {int: (int,), float: (int, float), NoneType: (float, NoneType)}


@dataclass(slots=True)
class Progress:
    """Counters of a run; the sums run since the last row of metrics.jsonl.

    num_images: views of all processes. seconds: spent training, in all sittings together.
    num_skipped: steps whose gradient was not finite, which left the weights as they were; in_row
    counts those since the last step taken, longest_skipped the most there ever were in a row.
    Sums and skips are those of the last reading (`StepTally`), step and num_images of now.
    validation_loss: of the averaged weights after this very step, None where it was not measured.
    """

    step: int = 0
    num_images: int = 0
    seconds: float = 0.0
    num_skipped: int = 0
    num_skipped_in_row: int = 0
    longest_skipped: int = 0
    loss_sum: float = 0.0
    grad_norm_sum: float = 0.0
    num_summed: int = 0
    validation_loss: float | None = None

    def to_json(self) -> dict[str, float | None]:
        """Return the counters as JSON can hold them."""
        return asdict(self)

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Take over saved counters. Errors: CheckpointError for others than these."""
        fresh = asdict(Progress())
        for name, value in saved.items():
            if name not in fresh or type(value) not in _JSON_TYPES[type(fresh[name])]:
                raise CheckpointError(
                    f"a checkpoint has the counter {name!r} = {value!r}, unknown to this version "
                    "of jcdm. Resume with the version that saved it, or from another checkpoint."
                )
            setattr(self, name, value)


@dataclass(slots=True, kw_only=True)
class RunState:
    """All that a checkpoint stores, and the engine that holds it.

    `part` names the module's folder: prior or denoiser.
    parameters: the trained ones by name; module: the plain one, not its distributed wrapper;
    scaler: the loss scaler of fp16, else None; samples_a_step: people that a step of all
    processes sees, 0 where nobody knows; people: hash of whom it learns from, in order, or "".
    """

    engine: Any
    part: str
    module: nn.Module
    parameters: Mapping[str, nn.Parameter]
    optimizer: Any
    averages: ParameterAverages
    scaler: Any = None
    samples_a_step: int = 0
    people: str = ""
    progress: Progress = field(default_factory=Progress)
