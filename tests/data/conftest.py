"""A small data set on disk and the records that name it."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jcdm.records import NUM_KEYPOINTS, SubjectRecord, ViewRecord

MakeSubject = Callable[..., SubjectRecord]


@pytest.fixture
def make_subject(tmp_path: Path) -> MakeSubject:
    """Write a subject's views as files of noise around one grey a view; return its record."""

    def make(
        name: str = "anna",
        *,
        num_views: int = 5,
        size: tuple[int, int] = (40, 30),
        split: str = "train",
        seed: int = 0,
    ) -> SubjectRecord:
        stream = np.random.default_rng(seed)
        views = []
        for number in range(num_views):
            pixels = stream.integers(0, 32, (*size, 3)) + 20 * number
            path = tmp_path / "pictures" / f"{name}_{number}.png"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(pixels.astype(np.uint8)).save(path)
            views.append(
                ViewRecord(
                    image=path,
                    keypoints=stream.uniform(0.2, 0.8, (NUM_KEYPOINTS, 2)),
                    keypoint_valid=stream.random(NUM_KEYPOINTS) < 0.9,
                    tags={"number": number},
                )
            )
        return SubjectRecord(subject=name, views=tuple(views), split=split)

    return make


@pytest.fixture(scope="session")
def protocol_dir() -> Path:
    """Folder of the published lists, `deepfashion/train.lst` and others.

    JCDM_PROTOCOL_DIR, where it is set, must be one: only a computer that has none skips.
    """
    named = os.environ.get("JCDM_PROTOCOL_DIR")
    beside = Path(__file__).resolve().parents[3] / "shared" / "protocol"
    folder = Path(named) if named else beside
    if not named and not folder.is_dir():
        pytest.skip("no published lists beside the checkout; name a folder by JCDM_PROTOCOL_DIR")
    if not (folder / "deepfashion" / "test.lst").is_file():
        pytest.fail(f"{folder} holds no deepfashion/test.lst; expected a folder of published lists")
    return folder
