"""The files that say what was drawn: the project's index and the published protocol's lists."""

import json
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path
from typing import Any, Literal

import numpy as np

from jcdm.data.synthetic.people import GENERATOR_VERSION, DrawnView

Split = Literal["train", "test"]
SPLITS: tuple[Split, ...] = ("train", "test")
_ANNOTATED = np.array([176, 256])  # width and height of the published annotation's frame


def write_index(path: Path, seed: int, subjects: Sequence[dict[str, Any]]) -> None:
    """Write subjects as an index that `jcdm` reads; paths in it are relative to `path`."""
    generator = {"name": "jcdm.data.synthetic", "version": GENERATOR_VERSION, "seed": seed}
    index = {"format": "jcdm-index", "version": 1, "generator": generator, "subjects": subjects}
    path.write_text(json.dumps(index, separators=(",", ":")) + "\n", encoding="utf-8")


def write_lists(root: Path, subjects: Sequence[dict[str, Any]]) -> None:
    """Write the published protocol's lists: images, ordered pairs and keypoints of each split."""
    for split in SPLITS:
        names, pairs, rows = [], ["from,to"], ["name:keypoints_y:keypoints_x"]
        for subject in subjects:
            if subject["split"] != split:
                continue
            own = [Path(view["image"]).name for view in subject["views"]]
            names += own
            pairs += [f"{source},{target}" for source, target in permutations(own, 2)]
            rows += [_annotation(n, v) for n, v in zip(own, subject["views"], strict=True)]
        _write_lines(root / f"{split}.lst", names)
        _write_lines(root / f"fasion-resize-pairs-{split}.csv", pairs)
        _write_lines(root / f"fasion-resize-annotation-{split}.csv", rows)


def _annotation(name: str, view: dict[str, Any]) -> str:
    points = np.floor(np.array(view["keypoints"]) * _ANNOTATED).astype(int)
    points = np.clip(points, 0, _ANNOTATED - 1)
    points[~np.array(view["keypoint_valid"])] = -1
    return f"{name}:{json.dumps(points[:, 1].tolist())}:{json.dumps(points[:, 0].tolist())}"


def _write_lines(path: Path, lines: Sequence[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def view_entry(name: str, view: DrawnView) -> dict[str, Any]:
    """Describe one view for the index; `name` is its path relative to the index."""
    points = [[round(float(x), 5), round(float(y), 5)] for x, y in view.keypoints]
    return {
        "image": name,
        "keypoints": points,
        "keypoint_valid": view.keypoint_valid.tolist(),
        "tags": {"yaw": round(view.yaw, 5), "side": view.side, "framing": view.framing},
    }
