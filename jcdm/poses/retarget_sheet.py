"""A contact sheet of a retarget: driving and fitted skeletons, to check by eye."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from jcdm.data.pose_files import StoredPose
from jcdm.evaluation.sheets import SheetRow, draw_sheet
from jcdm.poses.drawing import draw_stored_pose
from jcdm.poses.overlay import draw_overlay
from jcdm.poses.reference import Reference

HEIGHT = 320  # pixels of a picture on the sheet
MOST_FRAMES = 8


def draw_retarget_sheet(
    driving: Sequence[StoredPose], fitted: Sequence[StoredPose], reference: Reference
) -> Image.Image:
    """Show the reference, and evenly spread frames: driving, fitted, fitted over the photograph.

    Pictures have the reference's shape; driving frames of another shape stand between black bars.
    """
    pose = reference.poses[0]
    assert pose.size is not None
    cell = (HEIGHT, max(1, round(HEIGHT * pose.size[1] / pose.size[0])))
    count = min(MOST_FRAMES, len(driving))
    numbers = np.linspace(0, len(driving) - 1, count).round().astype(int).tolist()
    rows = [
        SheetRow(
            label="driving", pictures=(None, *(draw_stored_pose(driving[n], cell) for n in numbers))
        ),
        SheetRow(
            label="fitted",
            pictures=tuple(
                draw_stored_pose(p, cell) for p in [pose, *(fitted[n] for n in numbers)]
            ),
        ),
    ]
    if reference.picture is not None:
        photograph = reference.picture.resize(cell[::-1], Image.Resampling.BICUBIC)
        shown = [pose, *(fitted[n] for n in numbers)]
        over = tuple(np.asarray(draw_overlay(photograph, p)) for p in shown)
        rows.append(SheetRow(label="fitted, over the reference", pictures=over))
    columns = ["reference", *(f"frame {n}" for n in numbers)]
    return draw_sheet(rows, columns, group_starts=(1,))
