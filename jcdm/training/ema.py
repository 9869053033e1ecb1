"""Parameter averages, kept by diffusers' EMAModel under the parameters' own names."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from diffusers.training_utils import EMAModel
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor


class ParameterAverages:
    """Exponential moving averages of the trained parameters (parameters only, never modules)."""

    def __init__(self, parameters: Mapping[str, nn.Parameter], decay: float) -> None:
        """Start from the current values; early on the decay is (1 + step) / (10 + step)."""
        self.parameters = dict(parameters)
        self.model = EMAModel(self._own(), decay=decay, foreach=True)
        self.num_steps = 0
        self.num_skipped = torch.zeros((), device=self.model.shadow_params[0].device)

    @property
    def num_updates(self) -> int:
        """Number of updates the averages have seen; waits for the device."""
        return self.num_steps - int(self.num_skipped.item())

    @torch.no_grad()
    def update(self, taken: Tensor | None = None) -> None:
        """Take one step of averaging; call it after each optimizer step.

        taken: scalar bool tensor; where it is False, the optimizer left the weights alone and so
        are the averages. The decay follows the number of steps, which the host knows. The numbers
        are those of EMAModel.step, which cannot leave a step out without asking the device.
        """
        self.num_steps += 1
        share = 1 - self.model.get_decay(self.num_steps)
        averages, own = self.model.shadow_params, self._own()
        if taken is None:
            torch._foreach_lerp_(averages, own, share)
            return
        self.num_skipped += ~taken
        torch._foreach_lerp_(averages, own, [taken * share] * len(averages))

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Let the module hold the averages inside the context, its own weights after it."""
        own = self._own()
        self.model.store(own)
        self.model.copy_to(own)
        try:
            yield
        finally:
            self.model.restore(own)

    def tensors(self) -> dict[str, Tensor]:
        """Return the averages by parameter name, whole; all processes of a sharded run call it."""
        pairs = zip(self.parameters.items(), self.model.shadow_params, strict=True)
        return {name: _whole(average, parameter) for (name, parameter), average in pairs}

    def load(
        self, tensors: Mapping[str, Tensor], *, num_updates: int, num_skipped: int = 0
    ) -> None:
        """Put back averages by name, the number of updates and that of steps left out."""
        with torch.no_grad():
            pairs = zip(self.parameters.items(), self.model.shadow_params, strict=True)
            for (name, parameter), average in pairs:
                average.copy_(_share(tensors[name], parameter))
        self.num_steps = num_updates + num_skipped
        self.num_skipped.fill_(num_skipped)

    def _own(self) -> list[Any]:
        """Return what this process holds of each parameter: all of it, or its share."""
        return [
            parameter.to_local().detach() if isinstance(parameter, DTensor) else parameter
            for parameter in self.parameters.values()
        ]


def _whole(average: Tensor, parameter: nn.Parameter) -> Tensor:
    """Join the shares of an average that is laid out over the processes like its parameter."""
    if not isinstance(parameter, DTensor):
        return average
    shared = DTensor.from_local(
        average,
        parameter.device_mesh,
        parameter.placements,
        shape=parameter.shape,
        stride=parameter.stride(),
    )
    return shared.full_tensor().cpu()


def _share(average: Tensor, parameter: nn.Parameter) -> Tensor:
    """Take this process's share of an average, laid out like its parameter."""
    if not isinstance(parameter, DTensor):
        return average
    mesh, placements = parameter.device_mesh, parameter.placements
    return distribute_tensor(average.to(parameter.device), mesh, placements).to_local()
