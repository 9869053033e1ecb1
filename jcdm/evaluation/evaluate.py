"""What the tests of all stages share: unseen people in batches, pixels, and what CLIP sees."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from einops import rearrange
from PIL import Image
from torch import Tensor

from jcdm.config import TestConfig, VisibilityConfig
from jcdm.data.dataset import MultiViewDataset
from jcdm.data.drawn import ensure_index
from jcdm.data.index import read_index, require_files
from jcdm.data.loader import collate
from jcdm.data.transforms import clip_pixels
from jcdm.errors import DataError
from jcdm.fitting import frame_place, parse_frame
from jcdm.grid import GridShape
from jcdm.naming import file_stem
from jcdm.pipelines.inputs import count_free_cells
from jcdm.pipelines.outputs import to_uint8
from jcdm.records import Batch, SubjectRecord


def view_size(pipeline: Any) -> tuple[int, int]:
    """Return (height, width) of the views a pipeline was trained on, in pixels."""
    square = pipeline.image_encoder.config.image_size
    return pipeline.config.height or square, pipeline.config.width or square


def frame_size(pipeline: Any) -> tuple[int, int]:
    """Return (height, width) of what a view shows between its bars, if its fit is a frame."""
    return parse_frame(pipeline.config.fit) or view_size(pipeline)


def unseen_people(config: TestConfig, pipeline: Any) -> tuple[SubjectRecord, ...]:
    """Return the first `data.num_subjects` people of the split, drawn first where asked for."""
    data = config.data
    ensure_index(data.index, data.draw, size=view_size(pipeline))
    records = read_index(data.index, data.split)[: data.num_subjects]
    require_files(records)
    return records


def evaluation_batches(config: TestConfig, pipeline: Any, grid: GridShape) -> Iterator[Batch]:
    """Yield unseen people in order: `sample.num_references` references, the other views targets.

    Views, references and keys depend on `run.seed` and a person's place in the index only.
    Errors: DataError when the grid, or a person's views, leave no target.
    """
    height, width = view_size(pipeline)
    count = config.sample.num_references
    count_free_cells(count, grid)
    people = unseen_people(config, pipeline)
    if few := [record for record in people if len(record.views) <= count]:
        raise DataError(
            f"subject {few[0].subject!r} has {len(few[0].views)} views, expected more than "
            f"sample.num_references={count}. Lower it, or remove such subjects."
        )
    dataset = MultiViewDataset(
        people,
        height=height,
        width=width,
        grid=grid,
        fit=pipeline.config.fit,
        visibility=VisibilityConfig(min_references=count, max_references=count),
        clip_size=pipeline.image_encoder.config.image_size,
        clip_fit=pipeline.config.clip_fit,
        seed=config.run.seed,
        train=False,
    )
    for start in range(0, len(dataset), config.sample.batch_size):
        indices = range(start, min(start + config.sample.batch_size, len(dataset)))
        yield collate([dataset.sample(index) for index in indices])


def to_pixels(images: Tensor) -> np.ndarray:
    """Turn pictures (...,3,H,W), float in [-1,1] or uint8, into uint8 arrays (...,H,W,3)."""
    pixels = images if images.dtype == torch.uint8 else to_uint8(images)
    return rearrange(pixels, "... c h w -> ... h w c").contiguous().cpu().numpy()


def frame_pixels(images: Tensor, pipeline: Any) -> np.ndarray:
    """Turn views (...,3,H,W) into uint8 arrays of their frames, without bars: (...,h,w,3)."""
    rows, columns = frame_place(pipeline.config.fit, (images.shape[-2], images.shape[-1]))
    return to_pixels(images[..., rows, columns])


def clip_view(pictures: Sequence[np.ndarray], pipeline: Any) -> Tensor:
    """Show pictures (H,W,3) uint8 to CLIP the way the pipeline does: (N,3,S,S)."""
    size, fit = pipeline.image_encoder.config.image_size, pipeline.config.clip_fit
    return torch.stack([clip_pixels(Image.fromarray(p), size, fit) for p in pictures])


def save_pictures(pictures: dict[str, np.ndarray], folder: Path) -> None:
    """Write pictures (H,W,3) uint8 as `folder/NAME.png`, never outside the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures.items():
        Image.fromarray(picture).save(folder / f"{file_stem(name)}.png")
