"""Photographs and keypoints as a caller has them -> views and batches as the models take them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from jcdm.data.keypoints import keep_in_frame
from jcdm.data.pose_maps import draw_pose_map
from jcdm.data.transforms import ClipFit, Fit, clip_pixels, fit_view, image_tensor, unit_tensor
from jcdm.errors import ConfigError, DataError
from jcdm.grid import GridShape
from jcdm.records import NUM_KEYPOINTS, Batch

LARGEST_COORDINATE = 2.0  # a joint may lie outside the picture, but not by more than its size


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewFormat:
    """How a view is cut: pixels of a view and of CLIP's square, and the two ways of fitting."""

    height: int
    width: int
    clip_size: int
    fit: Fit = "crop"
    clip_fit: ClipFit = "crop"


def view_format(
    config: Mapping[str, Any],
    image_encoder: Any,
    height: int | None = None,
    width: int | None = None,
) -> ViewFormat:
    """Describe how a pipeline cuts photographs; sizes in pixels, by default as trained."""
    height, width = height or config["height"], width or config["width"]
    if height is None or width is None:
        raise ConfigError(
            "this pipeline stores no view size; pass height and width, or build it with them."
        )
    return ViewFormat(
        height=height,
        width=width,
        clip_size=image_encoder.config.image_size,
        fit=config["fit"],
        clip_fit=config["clip_fit"],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One cell's content: a reference, a target (its pixels unknown, held as -1) or nothing.

    image (3,H,W) [-1,1]; clip_pixels (3,S,S); pose_map (3,H,W) [0,1]; keypoints (K,2); valid (K,).
    """

    image: Tensor
    clip_pixels: Tensor
    pose_map: Tensor
    keypoints: Tensor
    valid: Tensor


def read_keypoints(value: Any, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Read (K,2) or (K,3) numbers x, y [, seen] as keypoints (K,2) in [0,1] and valid (K,).

    Negative and non-finite coordinates mean a joint that is not seen. Errors: DataError.
    """
    array = np.asarray(value, dtype=np.float32)
    if array.shape not in ((NUM_KEYPOINTS, 2), (NUM_KEYPOINTS, 3)):
        raise DataError(
            f"{name}: found keypoints of shape {array.shape}, expected ({NUM_KEYPOINTS}, 2) or "
            f"({NUM_KEYPOINTS}, 3): OpenPose-18, x, y in [0,1] and whether the joint is seen."
        )
    points = array[:, :2]
    valid: np.ndarray = np.all(np.isfinite(points) & (points >= 0), axis=1)
    if array.shape[1] == 3:
        valid = valid & (array[:, 2] > 0)
    if valid.any() and points[valid].max() > LARGEST_COORDINATE:
        raise DataError(
            f"{name}: found the coordinate {points[valid].max():g}, expected [0,1]; divide x by "
            "the picture's width and y by its height."
        )
    return np.where(valid[:, None], points, 0).astype(np.float32), valid


def prepare_reference(photo: Image.Image, keypoints: Any, spec: ViewFormat, name: str) -> View:
    """Cut a photograph to a view, its keypoints with it, and draw its pose."""
    points, valid = read_keypoints(keypoints, name)
    photo = photo.convert("RGB")
    image, placement = fit_view(photo, (spec.height, spec.width), spec.fit)
    points, valid = placement.place_keypoints(points, valid)
    return View(
        image=image_tensor(image),
        clip_pixels=clip_pixels(photo, spec.clip_size, spec.clip_fit),
        pose_map=unit_tensor(draw_pose_map(points, valid, spec.height, spec.width)),
        keypoints=torch.from_numpy(points).float(),
        valid=torch.from_numpy(keep_in_frame(points, valid)),
    )


def prepare_target(pose: Any, spec: ViewFormat, name: str) -> View:
    """Prepare a view to be painted, from keypoints or from (pose-map image, keypoints)."""
    drawn: Image.Image | None = None
    if isinstance(pose, Image.Image):
        raise DataError(
            f"{name}: found a pose map alone; the appearance prior reads joints, so pass the pair "
            "(pose map, keypoints), or keypoints alone."
        )
    if isinstance(pose, tuple) and len(pose) == 2 and isinstance(pose[0], Image.Image):
        drawn, pose = pose
    points, valid = read_keypoints(pose, name)
    if drawn is not None and drawn.size != (spec.width, spec.height):
        raise DataError(
            f"{name}: found a pose map of {drawn.width} x {drawn.height} pixels, expected "
            f"{spec.width} x {spec.height}, the size of a view; draw or resize it so."
        )
    if drawn is None:
        pose_map = unit_tensor(draw_pose_map(points, valid, spec.height, spec.width))
    else:
        pose_map = unit_tensor(drawn.convert("RGB"))
    return View(
        image=torch.full((3, spec.height, spec.width), -1.0),
        clip_pixels=torch.zeros(3, spec.clip_size, spec.clip_size),
        pose_map=pose_map,
        keypoints=torch.from_numpy(points),
        valid=torch.from_numpy(keep_in_frame(points, valid)),
    )


def prepare_references(
    photos: Sequence[Image.Image], keypoints: Sequence[Any], spec: ViewFormat
) -> list[View]:
    """Prepare one person's references. Errors: DataError for none, or unequal numbers."""
    if not photos:
        raise DataError("found no reference photograph; expected at least one of each person.")
    if len(photos) != len(keypoints):
        raise DataError(
            f"found {len(photos)} references and {len(keypoints)} keypoint arrays; expected one "
            "array a photograph."
        )
    return [
        prepare_reference(photo, points, spec, f"reference {i}")
        for i, (photo, points) in enumerate(zip(photos, keypoints, strict=True))
    ]


def prepare_targets(poses: Sequence[Any], spec: ViewFormat) -> list[View]:
    """Prepare one person's targets. Errors: DataError for none."""
    if len(poses) == 0:
        raise DataError("found no target pose; expected at least one of each person.")
    return [prepare_target(pose, spec, f"target pose {i}") for i, pose in enumerate(poses)]


def count_free_cells(num_references: int, grid: GridShape) -> int:
    """Return how many cells references leave to targets. Errors: DataError for none."""
    if num_references >= grid.num_views:
        raise DataError(
            f"found {num_references} references, but a grid of {grid.rows} x {grid.cols} has room "
            f"for at most {grid.num_views - 1}: one cell must stay free for a target. Pass fewer."
        )
    return grid.num_views - num_references


def assemble_batch(people: Sequence[tuple[list[View], list[View]]], grid: GridShape) -> Batch:
    """Put each person's references, then targets, into a grid; cells left over are absent.

    Errors: DataError for more references or targets than the grid has cells for.
    """
    rows = []
    for references, targets in people:
        free = count_free_cells(len(references), grid)
        if len(targets) > free:
            raise DataError(
                f"found {len(targets)} target poses beside {len(references)} references, but a "
                f"grid of {grid.rows} x {grid.cols} has {free} cells left; call once for every "
                f"{free} poses, or use JCDMSequencePipeline."
            )
        empty = [_empty_like(references[0])] * (free - len(targets))
        rows.append([*references, *targets, *empty])
    place = torch.arange(grid.num_views)
    visible = torch.stack([place < len(references) for references, _ in people])
    present = torch.stack([place < len(refs) + len(targets) for refs, targets in people])
    return Batch(
        images=_stack(rows, "image"),
        clip_pixels=_stack(rows, "clip_pixels"),
        pose_maps=_stack(rows, "pose_map"),
        keypoints=_stack(rows, "keypoints"),
        keypoint_valid=_stack(rows, "valid"),
        visible=visible,
        present=present,
        subjects=tuple(f"person {i}" for i in range(len(rows))),
        keys=torch.arange(len(rows)),
    )


def assemble_people(
    references: Sequence[Any],
    reference_keypoints: Sequence[Any],
    target_poses: Sequence[Any],
    *,
    spec: ViewFormat,
    grid: GridShape | None,
) -> tuple[Batch, bool]:
    """Make a batch of one person's lists, or of lists of those; says whether it is one person.

    Without a grid, the batch is as wide as its largest person needs. Errors: DataError.
    """
    is_one = bool(references) and isinstance(references[0], Image.Image)
    nested = (references, reference_keypoints, target_poses)
    lists = [[part] for part in nested] if is_one else [list(part) for part in nested]
    counts = [len(part) for part in lists]
    if counts[0] == 0:
        raise DataError("found no reference photograph; expected at least one of each person.")
    if len(set(counts)) != 1:
        raise DataError(
            f"found references of {counts[0]} people, keypoints of {counts[1]} and poses of "
            f"{counts[2]}; expected as many of each."
        )
    people = [
        (prepare_references(photos, points, spec), prepare_targets(poses, spec))
        for photos, points, poses in zip(*lists, strict=True)
    ]
    widest = max(len(given) + len(targets) for given, targets in people)
    return assemble_batch(people, grid or GridShape(rows=1, cols=widest)), is_one


def _stack(rows: Sequence[Sequence[View]], name: str) -> Tensor:
    """Stack one field of all cells of all people: (B,V,...)."""
    return torch.stack([torch.stack([getattr(view, name) for view in row]) for row in rows])


def _empty_like(view: View) -> View:
    """Fill a cell that holds neither a reference nor a target; the batch says it is absent."""
    return View(
        image=torch.full_like(view.image, -1),
        **{
            name: torch.zeros_like(getattr(view, name))
            for name in ("clip_pixels", "pose_map", "keypoints", "valid")
        },
    )
