"""Poses in JSON files: one person's joints, or those of a sequence of frames."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jcdm.errors import DataError
from jcdm.records import NUM_KEYPOINTS

_SHAPE = (
    f"expected {NUM_KEYPOINTS} joints as [x, y] or [x, y, seen] in [0,1], under 'keypoints', or a "
    "list of such under 'frames'"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPose:
    """Joints (K,3): x, y in [0,1] of a frame, and whether or how surely the joint is seen.

    size: height and width of the frame in pixels, None where the file does not say.
    """

    keypoints: np.ndarray
    size: tuple[int, int] | None


def read_pose_file(path: Path) -> tuple[StoredPose, ...]:
    """Read the poses of a JSON file, one or more, in order.

    The file holds {"keypoints": [...], "size": [height, width]?}, or {"frames": [{"keypoints":
    ...}, ...], "size": ...?}, or the bare list of joints. Errors: DataError naming file and frame.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path} not found; expected a JSON file of poses.") from None
    except (OSError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise DataError(f"{path} cannot be read as JSON: {reason}; {_SHAPE}.") from None
    if isinstance(content, list):
        content = {"keypoints": content}
    if not isinstance(content, dict):
        raise DataError(f"{path} holds {type(content).__name__}; {_SHAPE}.")
    size = _read_size(content, str(path))
    frames = content.get("frames", [content])
    if not isinstance(frames, list) or not frames:
        raise DataError(f"{path}: 'frames' holds nothing; {_SHAPE}.")
    return tuple(_read_frame(frame, size, f"{path}, frame {i}") for i, frame in enumerate(frames))


def write_pose_file(path: Path, poses: tuple[StoredPose, ...], **more: Any) -> None:
    """Write poses as `read_pose_file` reads them: one as `keypoints`, several as `frames`."""
    entries = [
        {"keypoints": [[round(float(n), 6) for n in joint] for joint in pose.keypoints]}
        | ({} if pose.size is None else {"size": list(pose.size)})
        for pose in poses
    ]
    content = entries[0] if len(entries) == 1 else {"frames": entries}
    path.write_text(json.dumps(content | more, indent=1) + "\n", encoding="utf-8")


def _read_frame(frame: Any, size: tuple[int, int] | None, where: str) -> StoredPose:
    if isinstance(frame, list):
        frame = {"keypoints": frame}
    if not isinstance(frame, dict) or "keypoints" not in frame:
        raise DataError(f"{where} holds no 'keypoints'; {_SHAPE}.")
    keypoints = _read_joints(frame["keypoints"], where)
    return StoredPose(keypoints=keypoints, size=_read_size(frame, where) or size)


def _read_joints(joints: Any, where: str) -> np.ndarray:
    """Read joints as (K,3) float32; a negative or missing coordinate means not seen."""
    if not isinstance(joints, list) or len(joints) != NUM_KEYPOINTS:
        found = len(joints) if isinstance(joints, list) else type(joints).__name__
        raise DataError(f"{where}: found {found} joints; {_SHAPE}.")
    rows = np.zeros((NUM_KEYPOINTS, 3), np.float32)
    for number, joint in enumerate(joints):
        if joint is None:
            continue
        numbers = joint if isinstance(joint, list) and len(joint) in (2, 3) else [None]
        if not all(_is_number(value) for value in numbers):
            raise DataError(f"{where}: joint {number} is {str(joint)[:60]}; {_SHAPE}.")
        x, y, seen = (*numbers, 1.0)[:3]
        if min(x, y) >= 0:
            rows[number] = (x, y, max(0.0, seen))
    return rows


def _is_number(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(value) and abs(value) < 1e6


def _read_size(entry: Mapping[str, Any], where: str) -> tuple[int, int] | None:
    size = entry.get("size")
    if size is None:
        return None
    whole = isinstance(size, list) and len(size) == 2 and all(type(n) is int for n in size)
    if not whole or min(size) < 1 or max(size) > 100_000:
        raise DataError(f"{where}: 'size' is {str(size)[:60]}, expected [height, width] in pixels.")
    return size[0], size[1]
