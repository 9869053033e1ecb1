"""What painted pictures of a task are held against: truth, its joints, and two simple pictures.

The VAE's reconstruction is what no painting in its latents can exceed; a copy of the reference
nearest in pose is what a painting must beat.
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress

import torch

from jcdm.data.pose_files import StoredPose, write_pose_file
from jcdm.data.transforms import image_tensor
from jcdm.errors import DataError
from jcdm.evaluation.baselines import pose_distances
from jcdm.evaluation.protocols.files import OnBad
from jcdm.evaluation.task_frames import joints_in_frame, place_view, take_frame
from jcdm.evaluation.task_items import TaskFolders, TaskItem, save_picture
from jcdm.pipelines.inputs import ViewFormat
from jcdm.pipelines.multiview import JCDMPipeline
from jcdm.pipelines.outputs import to_pil
from jcdm.records import ViewRecord


@torch.no_grad()
def write_truths(
    pipeline: JCDMPipeline,
    items: Sequence[TaskItem],
    folders: TaskFolders,
    *,
    rank: int = 0,
    world_size: int = 1,
    on_bad: OnBad = "error",
    report: Callable[[int, int], None] = lambda _done, _all: None,
) -> None:
    """Write what is not there yet of truths, joints, reconstructions and copies.

    Errors: DataError for photographs that cannot be read; with `on_bad` skip, nothing is written of
    them.
    """
    for folder in (folders.truth, folders.poses, folders.reconstructed, folders.copied):
        folder.mkdir(parents=True, exist_ok=True)
    spec = pipeline.view_format(None, None)
    views = {view.image.stem: view for item in items for view in item.targets}
    mine = sorted(views)[rank::world_size]
    may_fail = suppress(DataError) if on_bad == "skip" else nullcontext()
    for number, name in enumerate(mine, start=1):
        if not (folders.reconstructed / f"{name}.png").is_file():
            with may_fail:
                _write_truth(pipeline, views[name], spec, folders)
        report(number, len(mine))
    for item in items[rank::world_size]:
        with may_fail:
            _write_copies(item, spec, folders)


def _write_truth(
    pipeline: JCDMPipeline, view: ViewRecord, spec: ViewFormat, folders: TaskFolders
) -> None:
    """Write a target's truth and joints, and last, since it tells that all are there, the VAE's."""
    photo, placement = place_view(view, spec)
    placed, name = placement.place(photo), view.image.stem
    truth = take_frame(placed, placement)
    save_picture(truth, folders.truth / f"{name}.png")
    joints, size = joints_in_frame(view, placement), (truth.height, truth.width)
    pose = StoredPose(keypoints=joints, size=size)
    write_pose_file(folders.poses / f"{name}.json", (pose,))
    vae = pipeline.frozen_vae()
    [decoded] = to_pil(vae.decode(vae.mean_latents(vae.encode(image_tensor(placed)[None]))).cpu())
    save_picture(take_frame(decoded, placement), folders.reconstructed / f"{name}.png")


def _write_copies(item: TaskItem, spec: ViewFormat, folders: TaskFolders) -> None:
    files = [folders.copied / name for name in item.names]
    for target, file in zip(item.targets, files, strict=True):
        if not file.is_file():
            photo, placement = place_view(nearest(item.references, target), spec)
            save_picture(take_frame(placement.place(photo), placement), file)


def nearest(references: Sequence[ViewRecord], target: ViewRecord) -> ViewRecord:
    """Return the reference nearest in pose; the first where no joint is common."""
    views = (*references, target)
    points = torch.stack([torch.as_tensor(view.keypoints) for view in views])
    valid = torch.stack([torch.as_tensor(view.keypoint_valid) for view in views])
    distances = pose_distances(points[None], valid[None])[0, -1, :-1]
    return references[int(distances.argmin())]
