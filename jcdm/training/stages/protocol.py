"""What the training loop knows of a stage, and nothing more."""

from collections.abc import Mapping
from typing import Protocol

from torch import Tensor, nn

from jcdm.records import Batch, StepOutput


class Stage(Protocol):
    """A model in training: what learns, what is frozen, and the loss of a batch.

    module: what accelerate wraps and the checkpoint stores, in the folder named `part`. frozen:
    the parts that only serve. A stage never touches the optimizer, the loop never a model part.
    """

    part: str
    module: nn.Module
    frozen: Mapping[str, nn.Module]

    def trainable_parameters(self) -> list[nn.Parameter]:
        """Return the parameters that the optimizer moves."""

    def step(self, batch: Batch) -> StepOutput:
        """Compute the loss of a batch; every random number derives from its keys.

        Conditions are dropped at random only while the module is in training mode.
        """

    def preview(self, batch: Batch, num_steps: int) -> tuple[dict[str, float], Tensor | None]:
        """Try the model on people: scores, and pictures (N,3,H,W) uint8, one person each."""
