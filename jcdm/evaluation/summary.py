"""Sentences and records that every test's report ends with: weights, notes, the manifest."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from jcdm.config import SampleConfig, TestConfig
from jcdm.data.index import index_identity
from jcdm.evaluation.metrics import ScoreTally
from jcdm.manifest import run_manifest
from jcdm.training.parts import weights_folder
from jcdm.weights_identity import identify_all

Part = Literal["prior", "denoiser"]


def weights_sentence(sample: SampleConfig, *parts: Part) -> str:
    """Say which weights made the pictures and numbers: the pipeline, and parts that replace it."""
    folders = [(part, getattr(sample, part)) for part in parts]
    replaced = [f"{part} from {_from_here(folder)}" for part, folder in folders if folder]
    return ", ".join([f"pipeline {_from_here(sample.pipeline)}", *replaced]) + "."


def _from_here(folder: Path) -> Path:
    """Shorten a folder below the current one, so that it reads the same from every script."""
    here, place = Path.cwd(), folder.absolute()
    return place.relative_to(here) if place.is_relative_to(here) else folder


def identical_note(tallies: Mapping[str, ScoreTally]) -> tuple[str, ...]:
    """Say of how many views a score was infinite and hence left out of the mean."""
    return tuple(
        f"{method}: {count} views identical to the truth are left out of the mean of {name}."
        for method, tally in tallies.items()
        for name, count in tally.num_infinite.items()
    )


def evaluation_manifest(config: TestConfig) -> dict[str, Any]:
    """Return the record of a test: what ran, on which data and weights, with which versions."""
    return run_manifest(
        config,
        seed=config.run.seed,
        data={"index": str(config.data.index), **index_identity(config.data.index)},
        weights=sampled_weights(config.sample),
    )


def sampled_weights(sample: SampleConfig) -> dict[str, Any]:
    """Identify the pipeline and the parts that replace some of it, by their keys."""
    parts = {"prior": sample.prior, "denoiser": sample.denoiser}
    used = {name: weights_folder(place) for name, place in parts.items() if place is not None}
    named = {"pipeline": sample.pipeline, **used}
    return identify_all({f"sample.{name}": place for name, place in named.items()})
