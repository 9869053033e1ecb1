"""Where the joints of true pictures come from: a folder of JSON files, or an index."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np

from jcdm.data.index import read_index
from jcdm.data.pose_files import list_pose_files, read_pose_file
from jcdm.errors import DataError
from jcdm.evaluation.protocols.scoring import NO_POSE


def pose_reader(place: Path) -> Callable[[Path], np.ndarray]:
    """Return what finds the joints (18,3) of a picture by its name, without suffix.

    place: folder of NAME.json (see `read_pose_file`), or an index. A picture without joints gets
    none, and no score that needs them. Errors: DataError for a place that is neither, or empty.
    """
    if place.is_file():
        return _from_index(place)
    list_pose_files(place)

    @lru_cache(maxsize=200_000)
    def read(picture: Path) -> np.ndarray:
        file = place / f"{picture.stem}.json"
        if not file.is_file():
            return NO_POSE
        poses = read_pose_file(file)
        if len(poses) != 1:
            raise DataError(f"{file} holds {len(poses)} poses, expected that of one picture.")
        return poses[0].keypoints

    return read


def _from_index(index: Path) -> Callable[[Path], np.ndarray]:
    found = {}
    for record in read_index(index):
        for view in record.views:
            joints = np.concatenate([view.keypoints, view.keypoint_valid[:, None]], axis=1)
            found[view.image.stem] = joints.astype(np.float32)
    return lambda picture: found.get(picture.stem, NO_POSE)
