"""Files that a user brings -> references and target poses: photographs, pose maps, JSON."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from jcdm.data.images import load_image
from jcdm.data.pose_files import StoredPose, read_pose_file
from jcdm.data.pose_reading import is_pose_map, read_pose_map
from jcdm.errors import DataError
from jcdm.pipelines.photographs import Photograph, TargetPose
from jcdm.poses.choose import PoseFinder


def read_references(
    photographs: Sequence[Path], keypoint_files: Sequence[Path], find: PoseFinder | None
) -> list[Photograph]:
    """Read reference photographs and their joints.

    The joints of A.jpg come from `keypoint_files`, one a photograph, else from A.json beside it,
    else from `find`. Errors: DataError for a photograph without joints.
    """
    if keypoint_files and len(keypoint_files) != len(photographs):
        raise DataError(
            f"found {len(photographs)} references and {len(keypoint_files)} keypoint files; "
            "expected one file a photograph, or none."
        )
    given: Sequence[Path | None] = keypoint_files or [None] * len(photographs)
    found = []
    for path, file in zip(photographs, given, strict=True):
        picture = load_image(path)
        stored = _one_pose(file) if file else _pose_beside(path)
        keypoints = stored.keypoints if stored else _find(picture, path, find)
        found.append(Photograph(picture=picture, keypoints=keypoints))
    return found


def read_targets(files: Sequence[Path], find: PoseFinder | None) -> list[TargetPose]:
    """Read target poses: JSON of one pose or of many, pose maps, or photographs of someone.

    Errors: DataError for a file that is none of them.
    """
    targets: list[TargetPose] = []
    for path in files:
        targets += (
            _read_json(path) if path.suffix.lower() == ".json" else [_read_picture(path, find)]
        )
    names = [target.name for target in targets]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(
            f"found two poses called {twice!r}; painted pictures are named after them. Rename one "
            "of the files."
        )
    return targets


def _read_json(path: Path) -> list[TargetPose]:
    poses = read_pose_file(path)
    if len(poses) == 1:
        return [TargetPose(name=path.stem, keypoints=poses[0].keypoints, size=poses[0].size)]
    return [
        TargetPose(name=f"{path.stem}_{i:04d}", keypoints=pose.keypoints, size=pose.size)
        for i, pose in enumerate(poses)
    ]


def _read_picture(path: Path, find: PoseFinder | None) -> TargetPose:
    picture = load_image(path)
    if is_pose_map(picture):
        points, valid = read_pose_map(picture, str(path))
        keypoints = np.concatenate([points, valid[:, None]], axis=1)
    else:
        stored = _pose_beside(path)
        keypoints = stored.keypoints if stored else _find(picture, path, find)
    return TargetPose(name=path.stem, keypoints=keypoints, size=(picture.height, picture.width))


def _one_pose(path: Path) -> StoredPose:
    poses = read_pose_file(path)
    if len(poses) != 1:
        raise DataError(f"{path} holds {len(poses)} poses, expected that of one photograph.")
    return poses[0]


def _pose_beside(photograph: Path) -> StoredPose | None:
    file = photograph.with_suffix(".json")
    return _one_pose(file) if file.is_file() else None


def _find(picture: Image.Image, path: Path, find: PoseFinder | None) -> np.ndarray:
    if find is None:
        raise DataError(
            f"no joints are known for {path}; expected {path.with_suffix('.json').name} beside it, "
            "or a file by --reference_keypoints, or a detector: --detector dwpose --yolox FILE "
            "--dwpose FILE (docs/poses.md)."
        )
    return find(picture, str(path))
