"""Which people a run learns from or is tried on, and how a view is cut to size."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from jcdm.config.checks import require, require_at_least, require_share
from jcdm.fitting import parse_frame
from jcdm.grid import GridShape

OnBad = Literal["error", "skip"]
"""What a picture that cannot be read does: it ends the work, or is left out and named."""


@dataclass(frozen=True, kw_only=True)
class VisibilityConfig:
    """How many of the views are references, and where they may stand.

    `any`: every position; `prefix`: the first n cells, as published.
    """

    kind: Literal["any", "prefix"] = "any"
    min_references: int = 1
    max_references: int | None = None

    def __post_init__(self) -> None:
        require_at_least("data.visibility", 1, min_references=self.min_references)
        if self.max_references is not None:
            require(
                self.max_references >= self.min_references,
                f"data.visibility.max_references ({self.max_references}) must not be below "
                f"min_references ({self.min_references}).",
            )


@dataclass(frozen=True, kw_only=True)
class DrawConfig:
    """People to draw where the index does not exist yet; num_identities 0 = never draw."""

    num_identities: int = 0
    num_views: int = 8
    num_sequences: int = 0
    num_frames: int = 16
    test_fraction: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        require_at_least("data.draw", 0, num_identities=self.num_identities)
        require_at_least("data.draw", 1, num_views=self.num_views, num_frames=self.num_frames)
        require_share("data.draw", test_fraction=self.test_fraction)


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which people are trained on and how a view is cut to size (pixels).

    `frames`: the views of a subject are frames in order, as in an index of sequences. `fit`: crop,
    letterbox, or the frame of an evaluation protocol, HEIGHTxWIDTH, that stands between bars.
    `random_crop`: `crop` cuts anywhere in training, else from the centre. `arrangements`: a
    subject's views, cells, cut, mirror and visibility repeat after that many epochs; 0 = never.
    `on_bad`: a picture that cannot be read ends a run, or is found before it begins and left out
    of it with its view.
    """

    index: Path
    height: int
    width: int
    frames: bool = False
    arrangements: int = 0
    draw: DrawConfig = field(default_factory=DrawConfig)
    split: str = "train"
    validation_split: str | None = "test"
    grid_rows: int = 2
    grid_cols: int = 2
    fit: str = "crop"
    random_crop: bool = True
    flip_probability: float = 0.5
    visibility: VisibilityConfig = field(default_factory=VisibilityConfig)
    num_workers: int = 0
    on_bad: OnBad = "error"

    def __post_init__(self) -> None:
        require_at_least("data", 8, height=self.height, width=self.width)
        require_at_least("data", 0, num_workers=self.num_workers, arrangements=self.arrangements)
        require_share("data", flip_probability=self.flip_probability)
        parse_frame(self.fit)
        GridShape(rows=self.grid_rows, cols=self.grid_cols)

    @property
    def grid(self) -> GridShape:
        """The grid's shape as the object that the rooms pass on."""
        return GridShape(rows=self.grid_rows, cols=self.grid_cols)


@dataclass(frozen=True, kw_only=True)
class TestDataConfig:
    """Which people a trained model is tried on. Sizes come from the model, not from here."""

    index: Path
    split: str = "test"
    num_subjects: int = 16
    draw: DrawConfig = field(default_factory=DrawConfig)

    def __post_init__(self) -> None:
        require_at_least("data", 1, num_subjects=self.num_subjects)
