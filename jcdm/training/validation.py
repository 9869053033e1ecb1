"""The loss on unseen people: the same people, noise and timesteps each time, without drop-out."""

from collections import defaultdict

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object

from jcdm.data.dataset import MultiViewDataset
from jcdm.data.loader import collate
from jcdm.records import StepOutput
from jcdm.training.ema import ParameterAverages
from jcdm.training.people import validation_batches
from jcdm.training.stages.base import Stage


@torch.no_grad()
def validation_scalars(
    stage: Stage,
    averages: ParameterAverages,
    people: MultiViewDataset,
    *,
    batch_size: int,
    accelerator: Accelerator,
    in_lockstep: bool = False,
) -> dict[str, float]:
    """Average loss and logs of the averaged weights over the people, shared out over the ranks.

    Returns `validation_<name>` a scalar. The stage's module must be in evaluation mode.
    in_lockstep: all ranks make equally many forward passes, the shorter ones some for nothing.
    """
    sums: dict[str, float] = defaultdict(float)
    wrapped = stage.module
    stage.module = accelerator.unwrap_model(wrapped)  # ranks may make different numbers of calls
    rank, world_size = accelerator.process_index, accelerator.num_processes
    batches = validation_batches(people, batch_size, rank=rank, world_size=world_size)
    most = -(-len(range(0, len(people), world_size)) // batch_size)  # of any rank
    try:
        with averages.applied():
            for _ in range(most):
                if (batch := next(batches, None)) is not None:
                    _add(sums, stage.step(batch), len(batch.keys))
                elif in_lockstep:
                    stage.step(collate([people.sample(0)]))
    finally:
        stage.module = wrapped
    total: dict[str, float] = defaultdict(float)
    for some in gather_object([dict(sums)]):
        for name, value in some.items():
            total[name] += value
    num_people = total.pop("people")
    return {f"validation_{name}": value / num_people for name, value in total.items()}


def _add(sums: dict[str, float], output: StepOutput, num_people: int) -> None:
    sums["people"] += num_people
    sums["loss"] += output.per_sample.double().sum().item()
    for name, value in output.logs.items():
        sums[name] += value.item() * num_people
