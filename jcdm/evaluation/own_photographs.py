"""Own photographs in one call: read files, paint, write pictures, a sheet and their origin."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from jcdm.data.transforms import fit_view
from jcdm.errors import ConfigError
from jcdm.evaluation.sheets import SheetRow, draw_sheet
from jcdm.folders import write_folder
from jcdm.logs import quiet_libraries
from jcdm.manifest import run_manifest, write_manifest
from jcdm.pipelines.execution import place
from jcdm.pipelines.multiview import JCDMPipeline
from jcdm.pipelines.photograph_files import PoseFinder, read_references, read_targets
from jcdm.pipelines.photographs import (
    PaintedPicture,
    Photograph,
    paint_photographs,
    recommended_options,
)
from jcdm.pipelines.sampling import SamplingOptions
from jcdm.weights_identity import PAINTER, file_sha256, identify_all

logger = logging.getLogger(__name__)
SHEET, MANIFEST = "sheet.png", "sampling_manifest.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnPhotographs:
    """What to paint: files, the pipeline's folder, a preset, settings that win over it.

    settings: fields of `SamplingOptions`; those that are not given are what suits the weights.
    detector: names what finds joints in photographs, for the manifest.
    """

    references: Sequence[Path]
    poses: Sequence[Path]
    out: Path
    pipeline: Path
    reference_keypoints: Sequence[Path] = ()
    schedule: str | None = None
    preset: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    detector: str | None = None


def paint_own(wish: OwnPhotographs, find: PoseFinder | None = None) -> list[Path]:
    """Paint the references' person in every pose and write the folder `wish.out`.

    find: finds joints in photographs that have none. Returns the pictures' paths. Errors: DataError
    for files that cannot be used, ConfigError for a folder that exists; nothing is left behind.
    """
    if wish.out.exists():
        raise ConfigError(f"{wish.out} exists; choose a new folder, or remove it first.")
    references = read_references(wish.references, wish.reference_keypoints, find)
    targets = read_targets(wish.poses, find)
    pipeline = _load(wish)
    preset = wish.preset or pipeline.default_preset
    options = pipeline.settle(recommended_options(wish.pipeline, preset, **wish.settings))
    place(pipeline, options)
    painted = paint_photographs(
        pipeline,
        references,
        targets,
        options,
        seed=wish.seed,
        report=lambda done: logger.info("%d of %d pictures painted", done, len(targets)),
    )
    write_folder(wish.out, lambda folder: _write(folder, wish, options, references, painted))
    return [wish.out / f"{picture.name}.png" for picture in painted]


def _load(wish: OwnPhotographs) -> JCDMPipeline:
    with quiet_libraries():
        pipeline = JCDMPipeline.from_pretrained(wish.pipeline)
    if wish.schedule is not None:
        pipeline.choose_schedule(wish.schedule)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to("cuda" if torch.cuda.is_available() else "cpu")


def _write(
    folder: Path,
    wish: OwnPhotographs,
    options: SamplingOptions,
    references: Sequence[Photograph],
    painted: Sequence[PaintedPicture],
) -> None:
    for one in painted:
        one.picture.save(folder / f"{one.name}.png")
    _sheet(references, painted).save(folder / SHEET)
    files = [*wish.references, *wish.reference_keypoints, *wish.poses]
    manifest = run_manifest(
        asdict(options),
        seed=wish.seed,
        data={path.name: file_sha256(path) for path in files},
        weights=identify_all({PAINTER: wish.pipeline}),
        pipeline=str(wish.pipeline),
        detector=wish.detector,
        note="These pictures are generated.",
    )
    write_manifest(folder / MANIFEST, manifest)


def _sheet(references: Sequence[Photograph], painted: Sequence[PaintedPicture]) -> Image.Image:
    """Lay out the references once, and beside them pose and painting, a row a pose."""
    cell = painted[0].pose_map.size[::-1]
    shown = tuple(np.asarray(fit_view(photo.picture, cell, "letterbox")[0]) for photo in references)
    none = (None,) * len(shown)
    rows = [
        SheetRow(
            label=one.name,
            pictures=(
                *(none if number else shown),
                np.asarray(one.pose_map),
                np.asarray(fit_view(one.picture, cell, "letterbox")[0]),
            ),
        )
        for number, one in enumerate(painted)
    ]
    names = [f"reference {i + 1}" for i in range(len(shown))]
    return draw_sheet(rows, [*names, "pose", "painted"], group_starts=[len(shown)])
