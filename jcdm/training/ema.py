"""Parameter averages, kept by diffusers' EMAModel under the parameters' own names."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from diffusers.training_utils import EMAModel
from torch import Tensor, nn


class ParameterAverages:
    """Exponential moving averages of the trained parameters (parameters only, never modules)."""

    def __init__(self, parameters: Mapping[str, nn.Parameter], decay: float) -> None:
        """Start from the current values; early on the decay is (1 + step) / (10 + step)."""
        self.parameters = dict(parameters)
        self.model = EMAModel(list(self.parameters.values()), decay=decay, foreach=True)

    @property
    def num_updates(self) -> int:
        """Number of updates the averages have seen."""
        return self.model.optimization_step

    def update(self) -> None:
        """Take one step of averaging; call it after each optimizer step."""
        self.model.step(list(self.parameters.values()))

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Let the module hold the averages inside the context, its own weights after it."""
        own = list(self.parameters.values())
        self.model.store(own)
        self.model.copy_to(own)
        try:
            yield
        finally:
            self.model.restore(own)

    def tensors(self) -> dict[str, Tensor]:
        """Return the averages by parameter name."""
        return dict(zip(self.parameters, self.model.shadow_params, strict=True))

    def load(self, tensors: Mapping[str, Tensor], *, num_updates: int) -> None:
        """Put back averages by name and the number of updates they come from."""
        with torch.no_grad():
            for shadow, tensor in zip(
                self.model.shadow_params, (tensors[name] for name in self.parameters), strict=True
            ):
                shadow.copy_(tensor)
        self.model.optimization_step = num_updates
