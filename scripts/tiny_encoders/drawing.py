"""The drawn people that the encoders learn from, as arrays on disk."""

import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from jcdm.data.synthetic import render_view
from jcdm.records import NUM_KEYPOINTS

SIZE = (64, 48)
NUM_VIEWS = 8
NUM_TEST = 100
SEED = 20261


def _draw_identity(identity: int) -> tuple[np.ndarray, ...]:
    """All views of one person: images, region maps, (sin yaw, cos yaw), joints (x, y, seen)."""
    views = [
        render_view(seed=SEED, identity=identity, view=view, size=SIZE) for view in range(NUM_VIEWS)
    ]
    yaw = np.radians([view.yaw for view in views]).astype(np.float32)
    return (
        np.stack([view.image for view in views]),
        np.stack([view.regions for view in views]),
        np.stack([np.sin(yaw), np.cos(yaw)], axis=1),
        np.stack([np.c_[view.keypoints, view.keypoint_valid] for view in views]),
    )


def draw(work: Path, num_identities: int, num_workers: int) -> None:
    """Render people 0..N-1 (the first NUM_TEST are the unseen ones) into four .npy files."""
    images = np.lib.format.open_memmap(
        work / "images.npy", "w+", np.uint8, (num_identities, NUM_VIEWS, *SIZE, 3)
    )
    regions = np.lib.format.open_memmap(
        work / "regions.npy", "w+", np.uint8, (num_identities, NUM_VIEWS, *SIZE)
    )
    yaws = np.zeros((num_identities, NUM_VIEWS, 2), np.float32)
    joints = np.zeros((num_identities, NUM_VIEWS, NUM_KEYPOINTS, 3), np.float32)
    start = time.time()
    with ProcessPoolExecutor(num_workers) as pool:
        for i, drawn in enumerate(pool.map(_draw_identity, range(num_identities), chunksize=4)):
            images[i], regions[i], yaws[i], joints[i] = drawn
            if i % 100 == 99:
                print(f"{i + 1} people, {(i + 1) * NUM_VIEWS / (time.time() - start):.0f} images/s")
    np.save(work / "yaws.npy", yaws)
    np.save(work / "joints.npy", joints)
