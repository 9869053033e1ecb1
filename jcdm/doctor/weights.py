"""Weights: those that come with the project, and those that a configuration names."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open

from jcdm.config import Config, SampleConfig
from jcdm.doctor.finding import Finding, missing, note, ok, readable
from jcdm.manifest import PACKAGE
from jcdm.plain import HUB_PREFIX
from jcdm.training.weight_keys import keys_read
from jcdm.weights_identity import file_sha256, weight_files

SHIPPED = PACKAGE.parent / "assets" / "tiny"
SUMS = "SHA256SUMS"
_TABLE = "docs/published-weights.md"


def find_shipped(folder: Path = SHIPPED) -> Finding:
    """Compare the weights that come with the project with their list of checksums."""
    if not folder.is_dir():
        return note("shipped weights", f"none in {folder}; they come with a clone of the project")
    sums = folder / SUMS
    if not sums.is_file():
        return missing("shipped weights", f"{sums} is missing; {_restore(folder)}")
    for name, expected in read_sums(sums).items():
        if not (folder / name).is_file():
            return missing("shipped weights", f"{folder / name} is missing; {_restore(folder)}")
        if file_sha256(folder / name) != expected:
            return missing(
                "shipped weights",
                f"{folder / name} has not the SHA-256 of {SUMS}; {_restore(folder)}",
            )
    return ok("shipped weights", f"{folder}: {len(read_sums(sums))} files, all as listed")


def read_sums(file: Path) -> Mapping[str, str]:
    """Read a list as sha256sum writes it: name -> SHA-256."""
    lines = (line.split(maxsplit=1) for line in file.read_text(encoding="utf-8").splitlines())
    return {words[1].lstrip("*"): words[0] for words in lines if len(words) == 2}


def find_configured(kind: str, config: Config) -> Iterator[Finding]:
    """Look at every weight file or folder that a stage of a configuration reads."""
    for key in keys_read(kind, config):
        place = key.place(config)
        assert place is not None
        yield _find(key.name, place, f"{key.takes}; get it: {key.source} ({_TABLE})")
    if kind == "motion" and config.unet.weights is None:
        yield missing("unet.weights", "not set; the motion stage needs a trained denoiser")
    if kind != "prior" and config.prior.source == "apm" and config.prior.weights is None:
        yield missing("prior.weights", "not set; stage 2 needs a prior, or prior.source=oracle")


def find_sampled(sample: SampleConfig) -> Iterator[Finding]:
    """Look at the pipeline of a test, and at the parts that replace some of it."""
    source = "make it: python -m jcdm convert pipeline, or convert official"
    yield _find("sample.pipeline", sample.pipeline, f"a pipeline folder; {source}")
    for name in ("prior", "denoiser"):
        place = getattr(sample, name)
        if place is not None:
            yield _find(f"sample.{name}", place, "a trained part or the folder of its run")


def _find(key: str, place: Path, expected: str) -> Finding:
    """Look whether weights are there and can be opened; their numbers are not read."""
    if str(place).startswith(HUB_PREFIX):
        return note(key, f"{place} is a name on the Hub; not looked at, this command stays here")
    if "${" in str(place):
        return missing(key, f"{place}: the environment variable is not set; expected {expected}")
    files = weight_files(place)
    if not files:
        return missing(key, f"no weights in {place}; expected {expected}")
    if place.is_dir() and not any(place.rglob("config.json")):
        return missing(key, f"{place} holds no config.json; expected {expected}")
    for file in files:
        if reason := _damage(file):
            return missing(key, f"{file} is damaged: {reason}; expected {expected}")
    size = readable(sum(file.stat().st_size for file in files))
    return ok(key, f"{place}: {len(files)} weight file{'s' * (len(files) > 1)}, {size}")


def _damage(file: Path) -> str | None:
    """Say what is wrong with a weight file, as far as its length and its header tell."""
    if file.stat().st_size == 0:
        return "it is empty"
    if file.suffix != ".safetensors":
        return None
    try:
        with safe_open(file, framework="pt"):
            return None
    except (OSError, SafetensorError) as error:
        return " ".join(str(error).split())[:120]


def _restore(folder: Path) -> str:
    return f"get it again: git checkout {folder}"
