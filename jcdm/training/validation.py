"""The loss on unseen people: the same people, noise and timesteps each time, without drop-out."""

from collections import defaultdict

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object

from jcdm.data.dataset import MultiViewDataset
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
) -> dict[str, float]:
    """Average loss and logs of the averaged weights over the people, shared out over the ranks.

    Returns `validation_<name>` a scalar. The stage's module must be in evaluation mode.
    """
    sums: dict[str, float] = defaultdict(float)
    wrapped = stage.module
    stage.module = accelerator.unwrap_model(wrapped)  # ranks may make different numbers of calls
    ranks = {"rank": accelerator.process_index, "world_size": accelerator.num_processes}
    try:
        with averages.applied():
            for batch in validation_batches(people, batch_size, **ranks):
                output = stage.step(batch)
                sums["people"] += len(batch.keys)
                sums["loss"] += output.per_sample.double().sum().item()
                for name, value in output.logs.items():
                    sums[name] += value.item() * len(batch.keys)
    finally:
        stage.module = wrapped
    total: dict[str, float] = defaultdict(float)
    for some in gather_object([dict(sums)]):
        for name, value in some.items():
            total[name] += value
    num_people = total.pop("people")
    return {f"validation_{name}": value / num_people for name, value in total.items()}
