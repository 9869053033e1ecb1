"""Our schedulers beside the recorded options of the published ones."""

from collections.abc import Mapping
from typing import Any

from jcdm.compat.parity.comparison import Row, agree
from jcdm.config import ScheduleConfig
from jcdm.diffusion.schedule import Scheduler, build_denoiser_scheduler


def training_scheduler() -> Scheduler:
    """Build the schedule that our denoiser trains with by default, which is the published one."""
    return build_denoiser_scheduler(ScheduleConfig())


def scheduler_row(name: str, scheduler: Scheduler, options: Mapping[str, Any]) -> Row:
    """Compare the options that were recorded; ours has some more."""
    return agree(name, {key: scheduler.config.get(key) for key in options}, dict(options))
