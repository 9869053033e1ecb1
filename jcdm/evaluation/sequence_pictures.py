"""Pictures of painted sequences: rows of a contact sheet, films to watch side by side."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from jcdm.evaluation.evaluate import save_pictures
from jcdm.evaluation.frames import FrameSequence
from jcdm.evaluation.sheets import SheetRow, draw_sheet, enlarged
from jcdm.naming import file_stem
from jcdm.pipelines.video import write_gif, write_mp4

NUM_STRIP_FRAMES = 10
FRAMES_PER_SECOND = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class PaintedSequence:
    """A sequence painted with the motion module and without it: (F,H,W,3) uint8."""

    sequence: FrameSequence
    with_motion: np.ndarray
    without: np.ndarray

    def rows(self) -> Mapping[str, np.ndarray]:
        """What a person compares, by name: poses, painted with motion, without, truth."""
        return {
            "pose": self.sequence.poses,
            "with motion": self.with_motion,
            "without": self.without,
            "truth": self.sequence.frames,
        }


def sequence_strips(painted: PaintedSequence) -> list[SheetRow]:
    """Return four rows of a sheet, the first `NUM_STRIP_FRAMES` frames of each in columns."""
    rows = []
    for name, frames in painted.rows().items():
        label = painted.sequence.name if name == "pose" else name
        shown: list[np.ndarray | None] = [enlarged(frame) for frame in frames[:NUM_STRIP_FRAMES]]
        shown += [None] * (NUM_STRIP_FRAMES - len(shown))
        rows.append(SheetRow(label=label, pictures=tuple(shown)))
    return rows


def save_sequence(painted: PaintedSequence, out: Path) -> None:
    """Write what motion painted: `out/generated/NAME_frame000.png`..., `out/films/NAME.mp4`."""
    name = file_stem(painted.sequence.name)
    frames = {f"{name}_frame{i:03d}": frame for i, frame in enumerate(painted.with_motion)}
    save_pictures(frames, out / "generated")
    film = [Image.fromarray(frame) for frame in painted.with_motion]
    write_mp4(film, out / "films" / f"{name}.mp4", FRAMES_PER_SECOND)


def save_comparison(painted: PaintedSequence, out: Path) -> Path:
    """Write `out/films/NAME_compared.gif`, all rows side by side in time; returns the file."""
    rows = painted.rows()
    frames = [
        draw_sheet(
            [SheetRow(label=painted.sequence.name, pictures=tuple(map(enlarged, moment)))],
            list(rows),
        )
        for moment in zip(*rows.values(), strict=True)
    ]
    name = f"{file_stem(painted.sequence.name)}_compared.gif"
    return write_gif(frames, out / "films" / name, FRAMES_PER_SECOND)
