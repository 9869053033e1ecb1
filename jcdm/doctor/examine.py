"""All that is looked at, in the order that it is shown."""

from collections.abc import Iterator
from pathlib import Path

from jcdm.cli.options import load_yaml, read_config
from jcdm.config import Config, TestConfig
from jcdm.doctor.data import find_caches, find_index
from jcdm.doctor.devices import find_cards, find_memory, find_processors
from jcdm.doctor.disk import find_folders, find_out, find_space
from jcdm.doctor.environment import find_accelerate_files, find_checkout, find_python
from jcdm.doctor.finding import Finding, missing, ok
from jcdm.doctor.packages import find_optional, find_packages
from jcdm.doctor.weights import find_configured, find_sampled, find_shipped
from jcdm.errors import ConfigError


def examine(config_file: Path | None = None, stage: str | None = None) -> Iterator[Finding]:
    """Look at this computer, and at all that a configuration needs; a broken one is a finding."""
    yield find_python()
    yield find_checkout()
    yield from find_packages()
    yield from find_optional()
    yield from find_processors()
    yield from find_memory()
    yield from find_cards()
    yield from find_accelerate_files()
    yield from find_folders()
    yield find_shipped()
    if config_file is not None:
        try:
            yield from _examine_config(config_file, stage)
        except ConfigError as error:
            yield missing("configuration", str(error))


def _examine_config(file: Path, stage: str | None) -> Iterator[Finding]:
    words = ["--config", str(file)]
    if "sample" in load_yaml(file):
        test = read_config(TestConfig, words, prog="python -m jcdm sample", keep_unset=True)
        yield ok("configuration", f"{file}: a test of a trained stage")
        yield from find_sampled(test.sample)
        yield from find_index(test.data)
        yield find_out(test.run.out)
        return
    config = read_config(Config, words, prog="python -m jcdm train", keep_unset=True)
    kind = stage or guess_stage(config)
    told = "" if stage else ", as its keys say (another: --stage)"
    yield ok("configuration", f"{file}: training of the {kind}{told}")
    yield from find_configured(kind, config)
    yield from find_index(config.data)
    yield from find_caches(config)
    out = find_out(config.run.out)
    yield out
    if out.state != "missing":
        yield find_space(kind, config)


def guess_stage(config: Config) -> str:
    """Say which stage a configuration is made for, by the weights that it starts from."""
    if config.unet.weights is not None:
        return "motion"
    is_second = config.prior.weights is not None or config.unet.pretrained is not None
    return "denoiser" if is_second or config.prior.source == "oracle" else "prior"
