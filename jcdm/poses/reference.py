"""The reference of a retarget: a photograph or a JSON file -> its pose, and its picture."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from jcdm.data.images import load_image
from jcdm.data.pose_files import StoredPose, read_pose_file
from jcdm.errors import DataError
from jcdm.poses.choose import PoseFinder


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """Poses of the person to fit to, one or more frames, and the photograph where there is one."""

    poses: tuple[StoredPose, ...]
    picture: Image.Image | None


def read_reference(path: Path, find: PoseFinder | None) -> Reference:
    """Read a reference: A.json, or A.jpg with A.json beside it, or A.jpg in which `find` looks.

    Errors: DataError for a file that cannot be read, and for a photograph without joints.
    """
    if path.suffix.lower() == ".json":
        return Reference(poses=read_pose_file(path), picture=None)
    picture, beside = load_image(path), path.with_suffix(".json")
    if beside.is_file():
        poses = read_pose_file(beside)
        if len(poses) > 1:
            raise DataError(f"{beside} holds {len(poses)} poses, expected that of one photograph.")
        pose = poses[0]
    elif find is not None:
        pose = StoredPose(keypoints=np.asarray(find(picture, str(path))), size=None)
    else:
        raise DataError(
            f"no joints are known for {path}; expected {beside.name} beside it, or a detector: "
            "--detector dwpose --yolox FILE --dwpose FILE (docs/poses.md)."
        )
    return Reference(poses=(replace(pose, size=(picture.height, picture.width)),), picture=picture)
