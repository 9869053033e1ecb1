"""Which noise levels and which sampler a pipeline samples with."""

from dataclasses import replace
from typing import Any

from jcdm.diffusion.schedule import (
    Scheduler,
    check_scheduler,
    published_sampling,
    scheduler_from_noise_levels,
    swap_scheduler,
)
from jcdm.errors import ConfigError
from jcdm.pipelines.sampling import AUTO, BEST_SAMPLER, OWN, SamplingOptions

SCHEDULES = ("trained", "published")


class SchedulerChoice:
    """The part of an image pipeline that knows its noise levels; needs `scheduler` and `config`."""

    config: Any
    scheduler: Scheduler
    register_to_config: Any
    _stored_scheduler: Scheduler = None

    @property
    def default_preset(self) -> str:
        """The preset that applies where none is named: published schedules keep their sampler."""
        return "exact" if self.config["schedule"] == "published" else "standard"

    @property
    def num_timesteps(self) -> int:
        """Number of timesteps of training."""
        return int(self.scheduler.config.num_train_timesteps)

    def settle(self, options: SamplingOptions) -> SamplingOptions:
        """Return the options with the sampler's name in the place of `auto`."""
        if options.sampler != AUTO:
            return options
        is_stored = self.scheduler is self._stored_scheduler
        return replace(options, sampler=BEST_SAMPLER if is_stored else OWN)

    def choose_schedule(self, name: str) -> None:
        """Sample with the noise levels of training (`trained`) or of published sampling.

        The published code trains with scaled-linear betas and samples with linear ones. `published`
        repeats that, for weights of the published code; for all others `trained` is right.
        """
        self.scheduler = self._stored_scheduler = self._chosen_levels(name)
        self.register_to_config(schedule=name)

    def build_sampler(self, options: SamplingOptions) -> Scheduler:
        """Build the sampler that the options name, on the noise levels that the pipeline holds."""
        name = self.settle(options).sampler
        return swap_scheduler(None if name == OWN else name, self.scheduler)

    def _check_scheduler(self) -> None:
        """Refuse a scheduler, also one set later, that leaves the chosen noise levels."""
        check_scheduler(self.scheduler, self._chosen_levels(self.config["schedule"]))

    def _chosen_levels(self, name: str) -> Scheduler:
        if name not in SCHEDULES:
            raise ConfigError(f"schedule is {name!r}; expected one of {', '.join(SCHEDULES)}.")
        if name == "published":
            return published_sampling()
        return scheduler_from_noise_levels(self.config["noise_levels"])
