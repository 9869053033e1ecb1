"""`convert pipeline`: a training run -> a folder for `JCDMPipeline.from_pretrained`."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from jsonargparse import ArgumentError, ArgumentParser, Namespace

from jcdm.cli.options import one_line, read_config, take_word
from jcdm.config import Config
from jcdm.errors import ConfigError

PROG = "python -m jcdm convert"


def main(argv: Sequence[str]) -> None:
    """Run `convert pipeline --run DIR --out DIR [--prior DIR] [--dtype float16]`."""
    _, rest = take_word(argv, ("pipeline",), PROG)
    options = _parse(rest)
    file = options.run / "config.yaml"
    if not file.is_file():
        raise ConfigError(
            f"--run {options.run} holds no config.yaml; expected the folder of a training run."
        )
    config = read_config(Config, [], prog=PROG, default_config=str(file))
    if options.prior is not None:
        config = replace(config, prior=replace(config.prior, weights=options.prior))
    import torch

    from jcdm.training.packing import pack_run

    out = pack_run(options.run, config, options.out, dtype=getattr(torch, options.dtype))
    print(f"pipeline written: {out}")


def _parse(argv: Sequence[str]) -> Namespace:
    parser = ArgumentParser(
        prog=f"{PROG} pipeline",
        description="Write a denoiser or motion run as a folder for JCDMPipeline.from_pretrained.",
        exit_on_error=False,
        allow_abbrev=False,
    )
    parser.add_argument("--run", type=Path, required=True, help="run of stage 2, part 1 or 2")
    parser.add_argument("--out", type=Path, required=True, help="new folder")
    parser.add_argument("--prior", type=Path | None, default=None, help="another prior's folder")
    parser.add_argument("--dtype", type=Literal["float32", "float16"], default="float32")
    try:
        return parser.parse_args(list(argv))
    except ArgumentError as error:
        raise ConfigError(f"{one_line(str(error))} See: {parser.prog} --help") from None
