"""Run every comparison that a fixture folder has numbers for, and count what was not compared."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from jcdm.compat.parity.clip_pictures import compare_clip_pictures
from jcdm.compat.parity.comparison import Row, failure
from jcdm.compat.parity.data_stage1 import compare_stage1_data
from jcdm.compat.parity.data_stage2 import compare_stage2_data
from jcdm.compat.parity.encoders import compare_clip, compare_vae
from jcdm.compat.parity.fixtures import SETTINGS, TENSORS, FixtureFolder, MissingFixtureError
from jcdm.compat.parity.full_size import compare_full_size
from jcdm.compat.parity.grids import compare_grid
from jcdm.compat.parity.prior import compare_prior
from jcdm.compat.parity.sampling_prior import compare_prior_sampling
from jcdm.compat.parity.sampling_views import compare_view_sampling
from jcdm.compat.parity.schedules import compare_schedules
from jcdm.compat.parity.training import (
    compare_denoiser_step,
    compare_motion_step,
    compare_prior_step,
)
from jcdm.compat.parity.unet import compare_pose_guiders, compare_unet

Case = Callable[[FixtureFolder, str], Iterator[Row]]

CASES: dict[str, Case] = {
    "apm_motion": compare_prior,
    "apm_nomotion": compare_prior,
    "apm_officialmlp": compare_prior,
    "clip_vision": compare_clip,
    "stage1_pipeline": compare_prior_sampling,
    "pose_guider": compare_pose_guiders,
    "unet2d": compare_unet,
    "unet3d": compare_unet,
    "vae": compare_vae,
    "pipeline_no_motion": compare_view_sampling,
    "pipeline_motion": compare_view_sampling,
    "schedules_losses": compare_schedules,
    "train_step_stage1": compare_prior_step,
    "train_step_stage2_part1": compare_denoiser_step,
    "train_step_stage2_part2": compare_motion_step,
    "data_stage1": compare_stage1_data,
    "data_stage2": compare_stage2_data,
    "clip_processor": compare_clip_pictures,
    "grid_inference": compare_grid,
    "keys_full": compare_full_size,
}

NO_COUNTERPART = {
    "schedules_losses/snr.timesteps": "an input, of the signal-to-noise ratios and the noising",
    "schedules_losses/v.x0": "an input, of the noising",
    "schedules_losses/v.noise": "an input, of the noising",
    "schedules_losses/v.model_pred": "an input, of the losses",
    "schedules_losses/*.latents0": "an input, of the samplers",
    "schedules_losses/*.model_outputs": "an input, of the samplers",
    "schedules_losses/*.step_noise(last unused)": "an input, of the samplers",
    "stage1_pipeline/*.step_noise": "an input, of the sampling",
    "schedules_losses/*.prev_timestep_used": "hidden in diffusers; the latents are compared",
}
"""Recorded tensors, by pattern, that no row compares, and why."""

_INPUT = re.compile(r"in\d*\..+|item\d+\..+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All rows, and what the manifest lists and no row compares: name -> reason."""

    rows: tuple[Row, ...]
    missing: dict[str, str]

    @property
    def num_failed(self) -> int:
        """Number of rows that did not pass."""
        return sum(not row.passed for row in self.rows)

    def __str__(self) -> str:
        lines = [str(row) for row in self.rows]
        lines += [f"missing  {name}  {reason}" for name, reason in self.missing.items()]
        passed = len(self.rows) - self.num_failed
        summary = f"{passed} passed, {self.num_failed} failed, {len(self.missing)} missing"
        return "\n".join([*lines, summary])


def run_parity(folder: Path) -> Report:
    """Compare everything that a fixture folder lists. Errors: DataError without a manifest."""
    fixtures = FixtureFolder(folder)
    rows, stopped = list(fixtures.check_sums()), {}
    for name, case in CASES.items():
        if any(f"{name}{suffix}" in fixtures.manifest for suffix in (TENSORS, SETTINGS)):
            found, reason = _run_case(case, fixtures, name)
            rows += found
            stopped[name] = reason
    missing = _missing_tensors(fixtures, {row.name for row in rows}, stopped)
    return Report(rows=tuple(rows), missing=missing | _missing_files(fixtures))


def _run_case(case: Case, fixtures: FixtureFolder, name: str) -> tuple[list[Row], str]:
    """Collect a case's rows; where it had to stop, also why."""
    rows: list[Row] = []
    try:
        for row in case(fixtures, name):
            rows.append(row)
    except MissingFixtureError as error:
        return rows, str(error)
    except Exception as error:  # a damaged file can make any layer raise: that is a failed row
        reason = f"{type(error).__name__}: {error}"
        return [*rows, failure(name, reason)], f"the comparison stopped: {type(error).__name__}"
    return rows, "recorded, but compared by no case"


def is_output(name: str) -> bool:
    """Tell whether a recorded tensor, `fixture/tensor`, is one that a row must compare."""
    is_input = _INPUT.fullmatch(name.partition("/")[2])
    return not is_input and not any(fnmatchcase(name, pattern) for pattern in NO_COUNTERPART)


def _missing_tensors(
    fixtures: FixtureFolder, compared: set[str], stopped: dict[str, str]
) -> dict[str, str]:
    names = {f"{fixture}/{t}": fixture for fixture, t in fixtures.listed_tensors()}
    return {
        name: stopped.get(fixture, "no case knows this fixture")
        for name, fixture in names.items()
        if is_output(name) and name not in compared
    }


def _missing_files(fixtures: FixtureFolder) -> dict[str, str]:
    """Name the listed files that are absent, or that no case had a use for."""
    missing = {}
    for name in fixtures.manifest:
        if not (fixtures.folder / name).is_file():
            missing[name] = "listed in the manifest, but not in the folder"
        elif name not in fixtures.read:
            missing[name] = "no case reads this file"
    return missing
