from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jcdm.evaluation.frames import FrameSequence
from jcdm.evaluation.sequence_pictures import (
    NUM_STRIP_FRAMES,
    PaintedSequence,
    save_comparison,
    save_sequence,
    sequence_strips,
)

COUNT, HEIGHT, WIDTH = 3, 16, 12


def film(level: int, count: int = COUNT) -> np.ndarray:
    """Frames of one grey each: level, level + 1, ..."""
    levels = np.arange(level, level + count, dtype=np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (count, HEIGHT, WIDTH, 3)).copy()


@pytest.fixture
def painted() -> PaintedSequence:
    sequence = FrameSequence(
        name="anna_walk",
        frames=film(200),
        poses=film(0),
        keypoints=np.zeros((COUNT, 18, 3)),
        references=(0,),
    )
    return PaintedSequence(sequence=sequence, with_motion=film(50), without=film(100))


def test_strips_show_the_frames_in_time_and_leave_the_rest_empty(painted: PaintedSequence) -> None:
    rows = sequence_strips(painted)
    assert [row.label for row in rows] == ["anna_walk", "with motion", "without", "truth"]
    for row, level in zip(rows, (0, 50, 100, 200), strict=True):
        assert [None if p is None else int(p[0, 0, 0]) for p in row.pictures] == [
            level,
            level + 1,
            level + 2,
            *[None] * (NUM_STRIP_FRAMES - COUNT),
        ]


def test_what_motion_painted_is_saved_as_frames_and_film(
    painted: PaintedSequence, tmp_path: Path
) -> None:
    import av

    save_sequence(painted, tmp_path)
    for number, file in enumerate(sorted((tmp_path / "generated").iterdir())):
        assert np.array_equal(np.asarray(Image.open(file)), painted.with_motion[number])
    with av.open(str(tmp_path / "films" / "anna_walk.mp4")) as container:
        means = [frame.to_ndarray(format="rgb24").mean() for frame in container.decode(video=0)]
    assert means == pytest.approx([50, 51, 52], abs=3)


def test_the_comparison_moves_all_rows_together(painted: PaintedSequence, tmp_path: Path) -> None:
    moving = Image.open(save_comparison(painted, tmp_path))
    assert moving.n_frames == COUNT
    for moment in range(COUNT):
        moving.seek(moment)
        pixels = np.asarray(moving.convert("RGB")).reshape(-1, 3).tolist()
        counts = [pixels.count([level + moment] * 3) for level in (50, 100, 200)]
        assert all(count >= HEIGHT * WIDTH * 0.9 for count in counts), (moment, counts)
