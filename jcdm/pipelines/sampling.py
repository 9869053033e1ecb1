"""What both image pipelines share about sampling: its options and guidance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Literal, get_args

import torch
from torch import Tensor

from jcdm.diffusion.guidance import guide
from jcdm.errors import ConfigError
from jcdm.models.denoiser import JCDMDenoiser
from jcdm.pipelines.components import wake
from jcdm.records import Conditioning

PriorSource = Literal["apm", "oracle", "mean"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingOptions:
    """How to sample. Scale 1 = no guidance and half the cost.

    The unconditional half drops the appearance tokens and, with `guide_pose`, the pose too: the
    two nulls that training has. prior_source: `apm` asks the prior; `oracle` embeds the true views
    of every cell; `mean` gives targets the mean of the references' embeddings.
    """

    num_steps: int = 30
    guidance_scale: float = 2.0
    guide_pose: bool = False
    prior_steps: int = 20
    prior_guidance: float = 1.0
    prior_source: PriorSource = "apm"

    def __post_init__(self) -> None:
        if self.prior_source not in get_args(PriorSource):
            raise ConfigError(
                f"prior_source is {self.prior_source!r}; expected one of "
                f"{', '.join(get_args(PriorSource))}."
            )
        for name in ("guidance_scale", "prior_guidance"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} must be >= 0, got {getattr(self, name)}.")


class GuidedDenoiser:
    """A denoiser with its conditions computed: noisy grids in, guided predictions out.

    `conditions` are the arguments of `JCDMDenoiser.condition` for N grids. Where the scale is 1
    the U-Net sees N grids a step, else 2N. Where motion runs across frames, every `num_frames`
    consecutive grids are one sequence.
    """

    def __init__(
        self,
        denoiser: JCDMDenoiser,
        conditions: Mapping[str, Tensor],
        options: SamplingOptions,
        *,
        num_frames: int = 1,
    ) -> None:
        self.denoiser = denoiser
        self.scale = options.guidance_scale
        across_frames = denoiser.motion is not None and denoiser.motion.axis == "frames"
        self.num_frames = num_frames if across_frames else None
        halves = [denoiser.condition(**conditions)]
        if self.scale != 1:
            drop = torch.ones_like(conditions["visible"][:, 0])
            drop_pose = drop if options.guide_pose else None
            halves.append(denoiser.condition(**conditions, drop_prior=drop, drop_pose=drop_pose))
        self.num_halves = len(halves)
        self.conditioning = _stack(halves)

    def __call__(self, noisy: Tensor, timestep: Tensor) -> Tensor:
        """Predict for all N grids at one timestep: (N,C,gh,gw), scalar -> (N,C,gh,gw)."""
        if self.denoiser.device != noisy.device:  # a callback has woken another component
            wake(self.denoiser)
        prediction = self.denoiser.predict(
            torch.cat([noisy] * self.num_halves),
            timestep.expand(self.num_halves * len(noisy)),
            self.conditioning,
            num_frames=self.num_frames,
        )
        if self.num_halves == 1:
            return prediction
        conditional, unconditional = prediction.chunk(2)
        return guide(conditional, unconditional, self.scale)


def _stack(halves: Sequence[Conditioning]) -> Conditioning:
    """Put conditionings one after the other along the batch."""
    names = [f.name for f in fields(Conditioning)]
    return Conditioning(**{n: torch.cat([getattr(half, n) for half in halves]) for n in names})
