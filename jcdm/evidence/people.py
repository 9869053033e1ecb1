"""The benchmark's people: drawn from a seed, with all that is known about every view.

They are data with a version: equal seed, size and generator version give equal pixels.
"""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from jcdm.data.synthetic import GENERATOR_VERSION, DrawnView, render_frame, render_view
from jcdm.data.synthetic.sequence import Motion
from jcdm.pools import process_pool

NUM_VIEWS = 16
NUM_FRAMES = 16
MOTION: Motion = "turn"
_PRINT_CONTRAST = 24  # of 255, largest of three channels: what a print changes visibly


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnPeople:
    """N people in V views. images, strangers (N,V,H,W,3) uint8; regions (N,V,H,W) uint8 of Region.

    strangers: another person in the same pose before the same camera. prints (N,V,H,W) bool: where
    a print is seen; keypoints (N,V,18,2) in [0,1] and seen (N,V,18) bool; yaws (N,V) in degrees.
    frames (N,F,H,W,3) uint8, frame_keypoints, frame_seen, frame_regions: the person turning once.
    """

    images: np.ndarray
    strangers: np.ndarray
    regions: np.ndarray
    prints: np.ndarray
    keypoints: np.ndarray
    seen: np.ndarray
    yaws: np.ndarray
    frames: np.ndarray
    frame_regions: np.ndarray
    frame_keypoints: np.ndarray
    frame_seen: np.ndarray

    def pixel_hash(self) -> str:
        """Say which pixels these are: SHA-256, hexadecimal."""
        found = hashlib.sha256()
        for array in (self.images, self.strangers, self.frames):
            found.update(np.ascontiguousarray(array).data)
        return found.hexdigest()


def draw_people(
    seed: int, num_people: int, size: tuple[int, int], *, folder: Path, num_workers: int = 1
) -> DrawnPeople:
    """Draw the people 0..num_people-1 of a seed, or read what `folder` keeps of an earlier call.

    size: (H, W) in pixels.
    """
    name = f"people_{seed}_{num_people}_{size[0]}x{size[1]}_v{GENERATOR_VERSION}.npz"
    file = folder / name
    if file.is_file():
        with np.load(file, allow_pickle=False) as kept:
            return DrawnPeople(**{f.name: kept[f.name] for f in fields(DrawnPeople)})
    jobs = [(seed, identity, num_people, size) for identity in range(num_people)]
    with process_pool(num_workers) as pool:
        drawn = list(pool.map(_draw_person, jobs, chunksize=2))
    people = DrawnPeople(
        **{f.name: np.stack([person[f.name] for person in drawn]) for f in fields(DrawnPeople)}
    )
    _write(file, {f.name: getattr(people, f.name) for f in fields(DrawnPeople)})
    return people


def _write(file: Path, arrays: dict[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{os.getpid()}_{file.name}")
    np.savez_compressed(partial, **arrays)
    os.replace(partial, file)


def _draw_person(job: tuple[int, int, int, tuple[int, int]]) -> dict[str, np.ndarray]:
    seed, identity, num_people, size = job
    stranger = (identity + num_people // 2) % num_people
    shared: dict[str, Any] = {"seed": seed, "identity": identity, "size": size}
    views = [render_view(view=v, **shared) for v in range(NUM_VIEWS)]
    plain = [render_view(view=v, prints=False, **shared) for v in range(NUM_VIEWS)]
    others = [render_view(view=v, model=stranger, **shared) for v in range(NUM_VIEWS)]
    frames = [
        render_frame(frame=f, num_frames=NUM_FRAMES, motion=MOTION, **shared)
        for f in range(NUM_FRAMES)
    ]
    prints = [
        _differs(view.image, without.image) for view, without in zip(views, plain, strict=True)
    ]
    return {
        "images": _stack(views, lambda v: v.image),
        "strangers": _stack(others, lambda v: v.image),
        "regions": _stack(views, lambda v: v.regions),
        "prints": np.stack(prints),
        "keypoints": _stack(views, lambda v: v.keypoints),
        "seen": _stack(views, lambda v: v.keypoint_valid),
        "yaws": _stack(views, lambda v: np.float32(v.yaw)),
        "frames": _stack(frames, lambda v: v.image),
        "frame_regions": _stack(frames, lambda v: v.regions),
        "frame_keypoints": _stack(frames, lambda v: v.keypoints),
        "frame_seen": _stack(frames, lambda v: v.keypoint_valid),
    }


def _stack(views: list[DrawnView], take: Callable[[DrawnView], Any]) -> np.ndarray:
    return np.stack([take(view) for view in views])


def _differs(image: np.ndarray, plain: np.ndarray) -> np.ndarray:
    gap = np.abs(image.astype(np.int16) - plain).max(-1)
    return gap >= _PRINT_CONTRAST
