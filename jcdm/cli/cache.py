"""`cache --config FILE`: fill the caches of a training configuration, or verify them."""

from collections.abc import Sequence
from typing import get_args

from jcdm.cache.layout import Dtype
from jcdm.cli.options import read_config
from jcdm.config import Config
from jcdm.errors import ConfigError, DataError

PROG = "python -m jcdm cache"
_FLAGS = ("--verify", "--patch_tokens", "--appearance_only")
_HELP = """Also: --verify (check the cache that is there), --dtype float32|float16|bfloat16 (of the
numbers kept), --patch_tokens (keep the image encoder's tokens), --appearance_only (no latents),
--predictions denoiser|motion (instead: what the frozen prior predicts for the people of that stage,
into prior.predictions)."""


def main(argv: Sequence[str]) -> None:
    """Run `cache --config FILE --encoders.cache=DIR [--verify] [--section.key=value ...]`."""
    flags = {word.removeprefix("--"): word in argv for word in _FLAGS}
    dtype, options = _take("--dtype", [word for word in argv if word not in _FLAGS])
    stage, options = _take("--predictions", options)
    try:
        config = read_config(Config, options, prog=PROG)
    except SystemExit:  # --help, which knows the keys of the configuration alone
        print(_HELP)
        raise
    _check(dtype, stage, config, flags)
    verify = flags.pop("verify")
    if verify:
        _verify(stage, config)
        return
    from jcdm.training.encoder_cache import build_configured
    from jcdm.training.kept_predictions import build_predictions

    if stage is not None:
        done = build_predictions(stage, config, dtype=dtype or "float32")
    else:
        done = build_configured(config, dtype=dtype or "float32", **flags)
    if done is not None:
        print(done)


def _verify(stage: str | None, config: Config) -> None:
    from jcdm.training.encoder_cache import verify_configured
    from jcdm.training.kept_predictions import verify_predictions

    what = f"encoder cache {config.encoders.cache}"
    if stage is not None:
        what = f"cache of predictions {config.prior.predictions}"
    problems = verify_configured(config) if stage is None else verify_predictions(stage, config)
    for problem in problems:
        print(problem)
    if problems:
        raise DataError(
            f"{what} has {len(problems)} problems; build it again without --verify: shards that "
            "are right stay."
        )
    print(f"{what} is right")


def _check(dtype: str | None, stage: str | None, config: Config, flags: dict[str, bool]) -> None:
    """Raise a ConfigError for options that mean nothing here."""
    if dtype is not None and dtype not in get_args(Dtype):
        raise ConfigError(f"--dtype is {dtype!r}; expected one of {', '.join(get_args(Dtype))}.")
    if stage is None:
        return
    if config.prior.predictions is None:
        raise ConfigError("--predictions needs a folder: --prior.predictions=DIR.")
    if wrong := [name for name in ("patch_tokens", "appearance_only") if flags[name]]:
        raise ConfigError(f"--{wrong[0]} and --predictions exclude each other; leave one out.")


def _take(name: str, words: Sequence[str]) -> tuple[str | None, list[str]]:
    """Take `NAME VALUE` or `NAME=VALUE` out of the words; None where it is not there."""
    rest: list[str] = []
    chosen, given = None, iter(words)
    for word in given:
        if word == name:
            chosen = next(given, "")
        elif word.startswith(f"{name}="):
            chosen = word.removeprefix(f"{name}=")
        else:
            rest.append(word)
    return chosen, rest
