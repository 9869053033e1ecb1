"""`cache --config FILE`: fill the encoder cache of a training configuration, or verify it."""

from collections.abc import Sequence

from jcdm.cli.options import read_config
from jcdm.config import Config
from jcdm.errors import DataError

PROG = "python -m jcdm cache"
_FLAGS = ("--verify", "--patch_tokens", "--appearance_only")
_HELP = """Also: --verify (check the cache that is there), --dtype float32|float16|bfloat16 (of the
numbers kept), --patch_tokens (keep the image encoder's tokens), --appearance_only (no latents)."""


def main(argv: Sequence[str]) -> None:
    """Run `cache --config FILE --encoders.cache=DIR [--verify] [--section.key=value ...]`."""
    flags = {word.removeprefix("--"): word in argv for word in _FLAGS}
    dtype, options = _take_dtype([word for word in argv if word not in _FLAGS])
    try:
        config = read_config(Config, options, prog=PROG)
    except SystemExit:  # --help, which knows the keys of the configuration alone
        print(_HELP)
        raise
    from jcdm.training.encoder_cache import build_configured, verify_configured

    verify = flags.pop("verify")
    if not verify:
        if (done := build_configured(config, dtype=dtype, **flags)) is not None:
            print(done)
        return
    problems = verify_configured(config)
    for problem in problems:
        print(problem)
    if problems:
        raise DataError(
            f"encoder cache {config.encoders.cache} has {len(problems)} problems; build it again "
            "without --verify: shards that are right stay."
        )
    print(f"encoder cache {config.encoders.cache} is right")


def _take_dtype(words: Sequence[str]) -> tuple[str, list[str]]:
    """Take `--dtype NAME` or `--dtype=NAME` out of the words."""
    rest, chosen, given = [], "float32", iter(words)
    for word in given:
        if word == "--dtype":
            chosen = next(given, "")
        elif word.startswith("--dtype="):
            chosen = word.removeprefix("--dtype=")
        else:
            rest.append(word)
    return chosen, rest
