"""The three tests by name: what `sample STAGE` and the launchers call."""

import logging
from collections.abc import Callable, Mapping
from functools import partial

from jcdm.config import TestConfig
from jcdm.evaluation.metrics import find_score
from jcdm.evaluation.score_images import score_images
from jcdm.evaluation.score_prior import score_prior
from jcdm.evaluation.score_sequence import score_sequence
from jcdm.logs import close_logging, setup_logging
from jcdm.records import Report

logger = logging.getLogger(__name__)
Test = Callable[[TestConfig], Report]


def run_test(score: Test, config: TestConfig) -> Report:
    """Run one test; progress and scores go to the console and to `run.out/log.txt`."""
    config.run.out.mkdir(parents=True, exist_ok=True)
    setup_logging(config.run.out / "log.txt")
    try:
        report = score(config)
        for line in score_lines(report):
            logger.info("%s", line)
        logger.info("report: %s", (config.run.out / "report.html").resolve())
    finally:
        close_logging()
    return report


def score_lines(report: Report) -> list[str]:
    """Write a report's scores for the console, a line a method."""
    return [
        f"{method}: "
        + ", ".join(f"{find_score(name).heading} {v:.4g}" for name, (v, _) in scores.values.items())
        for method, scores in report.scores.items()
    ]


TESTS: Mapping[str, Test] = {
    "prior": partial(run_test, score_prior),
    "images": partial(run_test, score_images),
    "sequence": partial(run_test, score_sequence),
}
