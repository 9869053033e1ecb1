"""Own photographs: files of any size in, painted pictures of the poses' size out.

Nothing is squashed: photographs and poses are letterboxed into the model's views, and the painted
pictures are taken out of their bars again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from jcdm.data.transforms import Placement
from jcdm.errors import ConfigError
from jcdm.pipelines.inputs import (
    View,
    ViewFormat,
    assemble_batch,
    count_free_cells,
    prepare_references,
    prepare_target,
    read_keypoints,
)
from jcdm.pipelines.multiview import JCDMPipeline
from jcdm.pipelines.noise import KeyedNoise
from jcdm.pipelines.outputs import to_pil
from jcdm.pipelines.sampling import SamplingOptions, check_names
from jcdm.reading import read_json, short_reason
from jcdm.seeding import sample_key

ADVICE = "sampling.json"  # beside the weights: the settings that suit them


@dataclass(frozen=True, slots=True, kw_only=True)
class Photograph:
    """A reference: picture and keypoints (K,2 or K,3) in [0,1] of it."""

    picture: Image.Image
    keypoints: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetPose:
    """A pose to paint: keypoints (K,2 or K,3) in [0,1] of a frame of `size` (height, width).

    size None: the frame is the model's view. name: the painted file's, without suffix.
    """

    name: str
    keypoints: np.ndarray
    size: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaintedPicture:
    """A painted picture, out of its bars, and its pose map as the model saw it."""

    name: str
    picture: Image.Image
    pose_map: Image.Image


def recommended_options(pipeline: Path, preset: str = "standard", **given: Any) -> SamplingOptions:
    """Take sampling settings from those given (not None), the folder's sampling.json, the preset.

    Errors: ConfigError for a file that holds anything but settings.
    """
    file = pipeline / ADVICE
    try:
        advice = read_json(file) if file.is_file() else {}
        check_names(advice, f"{file}: ")
        chosen = advice | {name: value for name, value in given.items() if value is not None}
        return SamplingOptions.preset(preset, **chosen)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"{file} holds no sampling settings: {short_reason(error)}. Expected an "
            "object with keys such as num_steps; correct the file or remove it."
        ) from None


@torch.no_grad()
def paint_photographs(
    pipeline: JCDMPipeline,
    references: Sequence[Photograph],
    poses: Sequence[TargetPose],
    options: SamplingOptions,
    *,
    seed: int = 0,
    report: Callable[[int], None] = lambda _done: None,
) -> list[PaintedPicture]:
    """Paint one person in any number of poses, as many at a time as the grid has free cells.

    `report` is told how many are done. Errors: DataError, also for more references than the grid
    has room for.
    """
    spec = replace(pipeline.view_format(None, None), fit="letterbox")
    given = prepare_references(
        [photo.picture for photo in references], [photo.keypoints for photo in references], spec
    )
    free = count_free_cells(len(given), pipeline.denoiser.grid)
    painted: list[PaintedPicture] = []
    with pipeline.working(options):
        for start in range(0, len(poses), free):
            some = poses[start : start + free]
            painted += _paint(pipeline, given, some, spec, options, sample_key(seed, 0, start))
            report(len(painted))
    return painted


def _paint(
    pipeline: JCDMPipeline,
    given: list[View],
    poses: Sequence[TargetPose],
    spec: ViewFormat,
    options: SamplingOptions,
    key: int,
) -> list[PaintedPicture]:
    """Paint the poses of one grid."""
    placements = [_placement(pose, spec) for pose in poses]
    targets = [
        prepare_target(_placed(pose, placement), spec, pose.name)
        for pose, placement in zip(poses, placements, strict=True)
    ]
    batch = assemble_batch([(given, targets)], pipeline.denoiser.grid)
    _, latents = pipeline.paint(batch, KeyedNoise(torch.tensor([key])), options)
    views = pipeline.decode(latents, batch.present & ~batch.visible)
    maps = torch.stack([target.pose_map for target in targets]) * 2 - 1
    return [
        PaintedPicture(name=pose.name, picture=placement.unplace(view), pose_map=drawn)
        for pose, placement, view, drawn in zip(
            poses, placements, to_pil(views), to_pil(maps), strict=True
        )
    ]


def _placement(pose: TargetPose, spec: ViewFormat) -> Placement:
    """Letterbox a pose's frame into the model's view."""
    cell = (spec.height, spec.width)
    return Placement.fit(pose.size or cell, cell, "letterbox")


def _placed(pose: TargetPose, placement: Placement) -> np.ndarray:
    """Move a pose with its frame: (K,3) in [0,1] of the view, with the joints that are seen."""
    points, seen = read_keypoints(pose.keypoints, pose.name)
    moved, _ = placement.place_keypoints(points, seen)
    return np.concatenate([np.where(seen[:, None], moved, 0), seen[:, None]], axis=1)
