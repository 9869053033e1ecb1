"""What is measured: a registry of scores, the metrics on pictures, and how values become a mean.

Every score in a report has an entry here: a name, a direction and one sentence that says how it is
computed. Metrics on pictures are also functions, called for one target view at a time.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from skimage.metrics import structural_similarity

from jcdm.errors import ConfigError
from jcdm.records import Scores

Direction = Literal["up", "down", "zero"]
PictureMetric = Callable[[np.ndarray, np.ndarray], float]
ARROWS: Mapping[Direction, str] = {"up": "↑", "down": "↓", "zero": "→0"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreDefinition:
    """A score's name, which way is better (`zero`: nearest to 0), its formula in one sentence."""

    name: str
    direction: Direction
    formula: str

    @property
    def heading(self) -> str:
        """The name with its arrow, as a table's column is headed."""
        return f"{self.name} {ARROWS[self.direction]}"


DEFINITIONS: dict[str, ScoreDefinition] = {}
PICTURE_METRICS: dict[str, PictureMetric] = {}


def define_score(name: str, direction: Direction, formula: str) -> ScoreDefinition:
    """Enter a score into the registry; ConfigError when the name is taken by another formula."""
    definition = ScoreDefinition(name=name, direction=direction, formula=formula)
    if DEFINITIONS.setdefault(name, definition) != definition:
        raise ConfigError(
            f"score {name!r} is already defined as: {DEFINITIONS[name].formula} "
            "Give the new score another name."
        )
    return definition


def find_score(name: str) -> ScoreDefinition:
    """Return a score's definition; ConfigError when it has none."""
    if name not in DEFINITIONS:
        raise ConfigError(
            f"score {name!r} has no definition; expected one of {sorted(DEFINITIONS)}. "
            "Call define_score first."
        )
    return DEFINITIONS[name]


def picture_metric(
    name: str, direction: Direction, formula: str
) -> Callable[[PictureMetric], PictureMetric]:
    """Register a function (generated, truth) -> float; both float64 (H,W,3) in [0,1].

    From then on every report on pictures has a column for it.
    """

    def register(function: PictureMetric) -> PictureMetric:
        define_score(name, direction, formula)
        PICTURE_METRICS[name] = function
        return function

    return register


@picture_metric(
    "PSNR",
    "up",
    "10 log10(1 / mean squared error) in dB of a target view, pixels in [0,1], mean over target "
    "views; views identical to the truth (infinite) are left out and counted.",
)
def psnr(generated: np.ndarray, truth: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB; infinite for identical pictures. (H,W,3) in [0,1]."""
    error = float(np.mean((generated - truth) ** 2))
    return math.inf if error == 0 else -10 * math.log10(error)


@picture_metric(
    "SSIM",
    "up",
    "Structural similarity (Wang et al., 2004) with Gaussian weights of sigma 1.5, range fixed to "
    "1, population covariance, mean over the three channels and over target views.",
)
def ssim(generated: np.ndarray, truth: np.ndarray) -> float:
    """Structural similarity of two pictures (H,W,3) in [0,1], at least 11 pixels a side."""
    return float(
        structural_similarity(
            truth,
            generated,
            channel_axis=-1,
            data_range=1.0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
    )


@picture_metric(
    "L1", "down", "Mean absolute difference of pixels in [0,1], mean over target views."
)
def l1(generated: np.ndarray, truth: np.ndarray) -> float:
    """Mean absolute difference of two pictures (H,W,3) in [0,1]."""
    return float(np.mean(np.abs(generated - truth)))


def measure_pictures(
    generated: np.ndarray, truth: np.ndarray, targets: np.ndarray
) -> dict[str, list[float]]:
    """Apply every registered picture metric to the target views.

    generated, truth (B,V,H,W,3) uint8; targets (B,V) bool, True = a view to score.
    """
    pairs = [
        (generated[b, v] / 255.0, truth[b, v] / 255.0)
        for b, v in zip(*np.nonzero(targets), strict=True)
    ]
    return {
        name: [metric(ours, true) for ours, true in pairs]
        for name, metric in PICTURE_METRICS.items()
    }


@dataclass(slots=True)
class ScoreTally:
    """Collect values view by view and turn them into means that know their counts."""

    finite: dict[str, list[float]] = field(default_factory=dict)
    num_infinite: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, values: Iterable[float]) -> None:
        """Add values of one defined score; infinite ones are counted apart.

        Errors: ConfigError for a score without definition, ArithmeticError for NaN.
        """
        find_score(name)
        kept = self.finite.setdefault(name, [])
        for value in values:
            if math.isnan(value):
                raise ArithmeticError(f"score {name!r} is not a number")
            if math.isinf(value):
                self.num_infinite[name] = self.num_infinite.get(name, 0) + 1
            else:
                kept.append(float(value))

    def add_all(self, values: Mapping[str, Iterable[float]]) -> None:
        """Add the values of several scores."""
        for name, items in values.items():
            self.add(name, items)

    def scores(self) -> Scores:
        """Return each score's mean over all finite values, and how many there were."""
        return Scores(
            values={
                name: (float(np.mean(kept)), len(kept))
                for name, kept in self.finite.items()
                if kept
            }
        )
