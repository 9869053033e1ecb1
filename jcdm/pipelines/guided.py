"""The denoiser as a sampler calls it: conditions computed once, guidance where it acts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace

import torch
from torch import Tensor

from jcdm.diffusion.guidance import guide
from jcdm.models.denoiser import JCDMDenoiser
from jcdm.pipelines.components import wake
from jcdm.pipelines.execution import reduced_precision
from jcdm.pipelines.sampling import SamplingOptions
from jcdm.records import Conditioning


class GuidedDenoiser:
    """A denoiser with its conditions computed: noisy grids in, guided predictions out.

    `conditions` are the arguments of `JCDMDenoiser.condition` for N grids. The U-Net sees 2N grids
    at the steps where guidance acts and its direction is renewed, and N at all others; always N
    where the scale is 1. Where motion runs across frames, every `num_frames` consecutive grids are
    one sequence. num_timesteps: those of training, of which the options' shares are taken. One
    object serves one sample: it remembers the last direction.
    """

    def __init__(
        self,
        denoiser: JCDMDenoiser,
        conditions: Mapping[str, Tensor],
        options: SamplingOptions,
        *,
        num_timesteps: int,
        num_frames: int = 1,
    ) -> None:
        self.denoiser = denoiser
        self.options = options
        self.num_timesteps = num_timesteps
        across_frames = denoiser.motion is not None and denoiser.motion.axis == "frames"
        self.num_frames = num_frames if across_frames else None
        # One object each for all steps: fixed keys know tokens by identity.
        self.conditional = denoiser.condition(**conditions)
        self.both: Conditioning | None = None
        self._kept: tuple[float, Tensor] | None = None  # the last direction, and its timestep
        if options.guidance_scale != 1:
            self.both = _stack([self.conditional, self._null(*conditions["visible"].shape)])

    def _null(self, num_grids: int, num_views: int) -> Conditioning:
        """Return the unconditional half: null tokens and, where it is guided too, no pose."""
        tokens = self.denoiser.injector.null_tokens(num_grids, num_views)
        pose = self.conditional.pose
        if self.options.guide_pose:
            pose = torch.zeros_like(pose)
        return replace(self.conditional, tokens=tokens, pose=pose)

    def __call__(self, noisy: Tensor, timestep: Tensor) -> Tensor:
        """Predict for all N grids at one timestep: (N,C,gh,gw), scalar -> (N,C,gh,gw)."""
        if self.denoiser.device != noisy.device:  # a callback has woken another component
            wake(self.denoiser)
        if self.both is None:
            return self._predict(noisy, timestep, self.conditional)
        if self.options.guides_plainly:  # spares a GPU the wait for the timestep's number
            return self._guide(noisy, timestep, self.both)[0]
        return self._guide_in_interval(noisy, timestep, self.both)

    def _guide_in_interval(self, noisy: Tensor, timestep: Tensor, both: Conditioning) -> Tensor:
        """Predict with guidance inside its interval, its direction renewed where it is too old."""
        now, whole, options = float(timestep), self.num_timesteps, self.options
        share = (whole - 1 - now) / whole
        if not options.guidance_start <= share < options.guidance_end:
            return self._predict(noisy, timestep, self.conditional)
        if self._kept is not None and self._kept[0] - now < options.guidance_kept * whole:
            prediction = self._predict(noisy, timestep, self.conditional)
            return prediction + (options.guidance_scale - 1) * self._kept[1]
        guided, direction = self._guide(noisy, timestep, both)
        self._kept = (now, direction)
        return guided

    def _guide(self, noisy: Tensor, timestep: Tensor, both: Conditioning) -> tuple[Tensor, Tensor]:
        """Predict with guidance, and the direction from the unconditional to the conditional."""
        prediction = self._predict(torch.cat([noisy] * 2), timestep, both)
        conditional, unconditional = prediction.chunk(2)
        guided = guide(conditional, unconditional, self.options.guidance_scale)
        return guided, conditional - unconditional

    def _predict(self, noisy: Tensor, timestep: Tensor, conditioning: Conditioning) -> Tensor:
        with reduced_precision(noisy.device, self.options.mixed_precision):
            return self.denoiser.predict(
                noisy, timestep.expand(len(noisy)), conditioning, num_frames=self.num_frames
            )


def guide_in_parts(
    denoiser: JCDMDenoiser,
    conditions: Mapping[str, Tensor],
    options: SamplingOptions,
    num_timesteps: int,
) -> Callable[[Tensor, Tensor], Tensor]:
    """Guide N grids, `options.people_at_once` of them a call of the U-Net; see `GuidedDenoiser`."""
    num_grids = len(conditions["visible"])
    size = options.people_at_once or num_grids
    parts = [
        GuidedDenoiser(
            denoiser,
            {name: value[start : start + size] for name, value in conditions.items()},
            options,
            num_timesteps=num_timesteps,
        )
        for start in range(0, num_grids, size)
    ]
    if len(parts) == 1:
        return parts[0]

    def predict(noisy: Tensor, timestep: Tensor) -> Tensor:
        rows = noisy.split(size)
        return torch.cat([part(some, timestep) for part, some in zip(parts, rows, strict=True)])

    return predict


def _stack(halves: Sequence[Conditioning]) -> Conditioning:
    """Put conditionings one after the other along the batch."""
    names = [f.name for f in fields(Conditioning)]
    return Conditioning(**{n: torch.cat([getattr(half, n) for half in halves]) for n in names})
