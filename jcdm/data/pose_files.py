"""Poses in JSON files: one person's joints, or those of a sequence of frames."""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jcdm.data.keypoints import NUM_FACE_POINTS, NUM_HAND_JOINTS
from jcdm.errors import DataError
from jcdm.reading import UnreadableError, read_json, short_reason
from jcdm.records import NUM_KEYPOINTS


def _shape(number: int) -> str:
    return f"expected {number} joints as [x, y] or [x, y, seen] in [0,1]"


EXTRACTION = "extraction.json"
"""Lies beside the pose files of an extraction and says how they were made; no pose itself."""
_SHAPE = f"{_shape(NUM_KEYPOINTS)}, under 'keypoints', or a list of such under 'frames'"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPose:
    """Joints (K,3): x, y in [0,1] of a frame, and whether or how surely the joint is seen.

    hands (2,21,3), left then right, and face (68,3) likewise; size: height and width of the frame
    in pixels; detector: what found the joints. Each is None where the file does not say.
    """

    keypoints: np.ndarray
    size: tuple[int, int] | None
    hands: np.ndarray | None = None
    face: np.ndarray | None = None
    detector: str | None = None


def read_pose_file(path: Path) -> tuple[StoredPose, ...]:
    """Read the poses of a JSON file, one or more, in order.

    The file holds {"keypoints": [...], "size": [height, width]?, "hands": [[21], [21]]?, "face":
    [68]?, "detector": str?}, or {"frames": [{"keypoints": ...}, ...], "size": ...?, "detector":
    ...?}, or the bare list of joints. Errors: DataError naming file and frame.
    """
    try:
        content = read_json(path)
    except FileNotFoundError:
        raise DataError(f"{path} not found; expected a JSON file of poses.") from None
    except (OSError, UnreadableError) as error:
        raise DataError(
            f"{path} cannot be read as JSON: {short_reason(error)}; {_SHAPE}."
        ) from None
    if isinstance(content, list):
        content = {"keypoints": content}
    if not isinstance(content, dict):
        raise DataError(f"{path} holds {type(content).__name__}; {_SHAPE}.")
    frames = content.get("frames", [content])
    if not isinstance(frames, list) or not frames:
        raise DataError(f"{path}: 'frames' holds nothing; {_SHAPE}.")
    shared = {name: content[name] for name in ("size", "detector") if name in content}
    return tuple(_read_frame(frame, shared, f"{path}, frame {i}") for i, frame in enumerate(frames))


def list_pose_files(folder: Path) -> list[Path]:
    """List the pose files of a folder by name. Errors: DataError where there is none."""
    files = sorted(path for path in folder.glob("*.json") if path.name != EXTRACTION)
    if not files:
        raise DataError(f"{folder} holds no .json file; expected pose files in this folder.")
    return files


def write_pose_file(path: Path, poses: tuple[StoredPose, ...], **more: Any) -> None:
    """Write poses as `read_pose_file` reads them: one as `keypoints`, several as `frames`.

    The file appears whole or not at all. `more` is added beside them.
    """
    entries = [_entry(pose) for pose in poses]
    content = entries[0] if len(entries) == 1 else {"frames": entries}
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_text(json.dumps(content | more, indent=1) + "\n", encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _entry(pose: StoredPose) -> dict[str, Any]:
    facts = {
        "keypoints": _plain(pose.keypoints),
        "size": None if pose.size is None else list(pose.size),
        "hands": None if pose.hands is None else [_plain(hand) for hand in pose.hands],
        "face": None if pose.face is None else _plain(pose.face),
        "detector": pose.detector,
    }
    return {name: value for name, value in facts.items() if value is not None}


def _plain(joints: np.ndarray) -> list[list[float]]:
    return [[round(float(number), 6) for number in joint] for joint in joints]


def _read_frame(frame: Any, shared: Mapping[str, Any], where: str) -> StoredPose:
    """Read one frame; `shared` holds what the file says of all of them."""
    if isinstance(frame, list):
        frame = {"keypoints": frame}
    if not isinstance(frame, dict) or "keypoints" not in frame:
        raise DataError(f"{where} holds no 'keypoints'; {_SHAPE}.")
    facts = {**shared, **{name: value for name, value in frame.items() if value is not None}}
    face = facts.get("face")
    return StoredPose(
        keypoints=_read_joints(facts.get("keypoints"), NUM_KEYPOINTS, where),
        size=_read_size(facts, where),
        hands=_read_hands(facts.get("hands"), f"{where}, hands"),
        face=None if face is None else _read_joints(face, NUM_FACE_POINTS, f"{where}, face"),
        detector=_read_detector(facts.get("detector"), where),
    )


def _read_hands(hands: Any, where: str) -> np.ndarray | None:
    if hands is None:
        return None
    if not isinstance(hands, list) or len(hands) != 2:
        raise DataError(f"{where}: found {str(hands)[:60]}, expected the left and the right one.")
    return np.stack([_read_joints(hand, NUM_HAND_JOINTS, where) for hand in hands])


def _read_detector(detector: Any, where: str) -> str | None:
    if detector is not None and not isinstance(detector, str):
        raise DataError(f"{where}: 'detector' is {str(detector)[:60]}, expected a name.")
    return detector


def _read_joints(joints: Any, expected: int, where: str) -> np.ndarray:
    """Read joints as (expected,3) float32; a negative or missing coordinate means not seen."""
    if not isinstance(joints, list) or len(joints) != expected:
        found = len(joints) if isinstance(joints, list) else type(joints).__name__
        raise DataError(f"{where}: found {found} joints; {_shape(expected)}.")
    rows = np.zeros((expected, 3), np.float32)
    for number, joint in enumerate(joints):
        if joint is None:
            continue
        numbers = joint if isinstance(joint, list) and len(joint) in (2, 3) else [None]
        if not all(_is_number(value) for value in numbers):
            raise DataError(f"{where}: joint {number} is {str(joint)[:60]}; {_shape(expected)}.")
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
