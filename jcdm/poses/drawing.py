"""Pose files -> pose maps on disk."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from jcdm.data.pose_files import StoredPose, list_pose_files, read_pose_file
from jcdm.data.pose_maps import draw_pose_map
from jcdm.data.transforms import Placement
from jcdm.errors import DataError

Size = tuple[int, int]
"""Height and width in pixels."""


def draw_pose_files(
    source: Path, out: Path, *, size: Size | None = None, details: bool = False
) -> list[Path]:
    """Draw every pose of a JSON file, or of all in a folder, as a PNG in `out`; return the paths.

    One pose of A.json becomes A.png, several A_0000.png, A_0001.png, ... size: of the pose maps,
    by default that of each pose's frame; a frame of another aspect is fitted in between black
    bars. details: draw hands and face too, where they are known. Errors: DataError for files that
    hold no poses, before anything is written.
    """
    wanted = [
        (name, pose, size or _known_size(pose, name))
        for file in (list_pose_files(source) if source.is_dir() else [source])
        for name, pose in _named_poses(file)
    ]
    out.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, pose, pixels in wanted:
        paths.append(out / f"{name}.png")
        Image.fromarray(draw_stored_pose(pose, pixels, details=details)).save(paths[-1])
    return paths


def draw_stored_pose(pose: StoredPose, size: Size, *, details: bool = False) -> np.ndarray:
    """Draw a pose as RGB (H,W,3) uint8 of `size`, its frame fitted in whole (letterbox)."""
    placement = Placement.fit(pose.size or size, size, "letterbox")

    def place(points: np.ndarray) -> np.ndarray:
        placed, _ = placement.place_keypoints(points[..., :2], points[..., 2] > 0)
        return np.concatenate([placed, points[..., 2:]], axis=-1)

    body = place(pose.keypoints)
    return draw_pose_map(
        body[:, :2],
        body[:, 2] > 0,
        *size,
        hands=place(pose.hands) if details and pose.hands is not None else None,
        face=place(pose.face) if details and pose.face is not None else None,
    )


def _named_poses(file: Path) -> Iterator[tuple[str, StoredPose]]:
    poses = read_pose_file(file)
    for number, pose in enumerate(poses):
        yield file.stem if len(poses) == 1 else f"{file.stem}_{number:04d}", pose


def _known_size(pose: StoredPose, name: str) -> Size:
    if pose.size is None:
        raise DataError(
            f"the pose {name} does not say the 'size' of its frame; expected [height, width] in "
            "the file, or give --size HEIGHTxWIDTH."
        )
    return pose.size
