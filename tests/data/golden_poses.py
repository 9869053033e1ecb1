"""Poses and the pose maps that were drawn of them once, before anything was changed since."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

FOLDER = Path(__file__).resolve().parents[1] / "golden" / "pose_maps"
_CASES = json.loads((FOLDER / "poses.json").read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenPose:
    """What was drawn, and the picture (H,W,3) that came out; details with min_confidence 0.3."""

    size: tuple[int, int]
    keypoints: np.ndarray
    valid: np.ndarray
    hands: np.ndarray | None
    face: np.ndarray | None
    drawn: np.ndarray


def golden_names(*, details: bool) -> list[str]:
    """Names of the poses with hands and face, or of those without."""
    return [name for name, case in _CASES.items() if ("hands" in case) == details]


def golden_pose(name: str) -> GoldenPose:
    """Read one pose and its picture."""
    case = _CASES[name]
    joints = np.array(case["keypoints"])
    return GoldenPose(
        size=tuple(case["size"]),
        keypoints=joints[:, :2],
        valid=joints[:, 2] > 0,
        hands=np.array(case["hands"]) if "hands" in case else None,
        face=np.array(case["face"]) if "face" in case else None,
        drawn=np.asarray(Image.open(FOLDER / f"{name}.png")),
    )
