"""The three tests by name: what `sample STAGE` and the launchers call."""

from collections.abc import Callable, Mapping

from jcdm.config import TestConfig
from jcdm.evaluation.score_images import score_images
from jcdm.evaluation.score_prior import score_prior
from jcdm.evaluation.score_sequence import score_sequence
from jcdm.records import Report

TESTS: Mapping[str, Callable[[TestConfig], Report]] = {
    "prior": score_prior,
    "images": score_images,
    "sequence": score_sequence,
}
