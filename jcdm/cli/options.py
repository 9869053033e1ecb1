"""Read a configuration: YAML file, then options, into a tree of dataclasses.

Every key of the YAML becomes an option in front of the ones typed by the user, so that one parser
checks names and types of both, and the user's win.
"""

import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast, get_args, get_type_hints

from jsonargparse import ArgumentError, ArgumentParser, Namespace

from jcdm.errors import ConfigError
from jcdm.fitting import parse_frame
from jcdm.plain import leaves
from jcdm.reading import UnreadableError, read_yaml

T = TypeVar("T")
_URL = re.compile(r"[a-z][a-z0-9+.-]+://")
_VARIABLE = re.compile(r"\$\{(\w+)\}")


def read_config(
    kind: type[T],
    argv: Sequence[str],
    *,
    prog: str,
    default_config: str | None = None,
    keep_unset: bool = False,
) -> T:
    """Build a `kind` from `--config FILE` and dotted options in argv.

    keep_unset: paths with an environment variable that is not set stay as written, for a dry run,
    which reads none of them. Errors: ConfigError in one line, naming the key and, for keys of the
    file, the file.
    """
    parser = _parser(cast(Any, kind), prog)
    if not {"-h", "--help"}.isdisjoint(argv):
        parser.print_help()
        raise SystemExit(0)
    config_file, options = _split_config(argv, default_config)
    tokens = list(_yaml_options(config_file, path_keys(kind), keep_unset)) if config_file else []
    try:
        sections = vars(parser.instantiate(parser.parse_args([*tokens, *options])))
    except (ArgumentError, ValueError, RecursionError) as error:  # the last two: of odd values
        where = f" Read: {config_file}." if config_file else ""
        raise ConfigError(f"{one_line(str(error))}{where} All keys: {prog} --help") from None
    return kind(**{f.name: sections[f.name] for f in fields(cast(Any, kind))})


def take_word(argv: Sequence[str], words: Sequence[str], prog: str) -> tuple[str, Sequence[str]]:
    """Split off the first word, which must be one of `words`; ConfigError names them otherwise.

    -h or --help in its place prints the words and exits 0.
    """
    if argv and argv[0] in {"-h", "--help"}:
        print(f"usage: {prog} {'|'.join(words)} ...")
        print(f"       {prog} {words[0]} --help lists every option")
        raise SystemExit(0)
    if not argv or argv[0] not in words:
        found = repr(argv[0]) if argv else "nothing"
        raise ConfigError(f"{prog}: expected one of {', '.join(words)}, found {found}.")
    return argv[0], argv[1:]


def read_size(option: str, text: str) -> tuple[int, int]:
    """Read HEIGHTxWIDTH. Errors: ConfigError naming the option."""
    with suppress(ConfigError):
        if (size := parse_frame(text)) is not None:
            return size
    raise ConfigError(f"{option} is {text!r}; expected HEIGHTxWIDTH such as 256x176.")


def command_parser(prog: str, purpose: str) -> ArgumentParser:
    """Make the parser of a command that takes options alone, and no configuration file."""
    return ArgumentParser(prog=prog, description=purpose, exit_on_error=False, allow_abbrev=False)


def parse_command(parser: ArgumentParser, argv: Sequence[str]) -> Namespace:
    """Read a command's options. Errors: ConfigError in one line."""
    try:
        return parser.parse_args(list(argv))
    except ArgumentError as error:
        raise ConfigError(f"{one_line(str(error))} See: {parser.prog} --help") from None


@cache
def _parser(kind: Any, prog: str) -> ArgumentParser:
    parser = ArgumentParser(
        prog=prog, description=kind.__doc__, exit_on_error=False, allow_abbrev=False
    )
    parser.add_argument("--config", type=str, help="YAML file; options typed here win over it.")
    parser.add_class_arguments(kind)
    return parser


def _split_config(argv: Sequence[str], default: str | None) -> tuple[Path | None, list[str]]:
    """Take `--config FILE` (the last one counts) out of argv."""
    rest, chosen, words = [], default, iter(argv)
    for word in words:
        if word == "--config":
            chosen = next(words, None)
            if chosen is None:
                raise ConfigError("--config needs a file name: --config configs/tiny/x.yaml")
        elif word.startswith("--config="):
            chosen = word.removeprefix("--config=")
        else:
            rest.append(word)
    return (Path(chosen) if chosen else None), rest


def load_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping with the safe loader; ConfigError in one line when it is not one."""
    try:
        content = read_yaml(path)
    except FileNotFoundError:
        raise ConfigError(f"configuration {path} not found; expected a YAML file.") from None
    except (OSError, UnreadableError) as error:
        raise ConfigError(f"configuration {path} cannot be read: {one_line(str(error))}") from None
    if not isinstance(content, dict):
        raise ConfigError(f"configuration {path} holds no keys; expected sections such as 'run:'.")
    return content


def _yaml_options(path: Path, path_keys: frozenset[str], keep_unset: bool) -> Iterator[str]:
    """Spell every leaf of a YAML file as --section.key=value, paths made relative to the file."""
    for key, value in leaves(load_yaml(path)):
        if key in path_keys and isinstance(value, str):
            value = resolve_path(value, path.parent, keep_unset=keep_unset)
        yield f"--{key}={value if isinstance(value, str) else json.dumps(value)}"


def resolve_path(value: str, folder: Path, *, keep_unset: bool = False) -> str:
    """Expand ${NAME} from the environment and make a relative path relative to `folder`.

    A value that begins with `hub:`, or is a URL (s3://...), is left as it is; so is one
    whose variable is not set, if `keep_unset`, and a ConfigError otherwise.
    """
    unset = [name for name in _VARIABLE.findall(value) if name not in os.environ]
    if unset and keep_unset:
        return value
    if unset:
        raise ConfigError(
            f"path {value!r} needs the environment variable {unset[0]}, which is not set; write "
            f"{unset[0]}=FOLDER in front of the command."
        )
    expanded = _VARIABLE.sub(lambda match: os.environ[match.group(1)], value)
    is_elsewhere = expanded.startswith("hub:") or _URL.match(expanded)
    return expanded if is_elsewhere else os.path.normpath(folder / expanded)


def path_keys(kind: type, prefix: str = "") -> frozenset[str]:
    """Names of all keys below `kind` whose type is Path or Path | None."""
    found: set[str] = set()
    for name, hint in get_type_hints(kind).items():
        if is_dataclass(hint):
            found |= path_keys(cast(type, hint), f"{prefix}{name}.")
        elif hint is Path or Path in get_args(hint):
            found.add(f"{prefix}{name}")
    return frozenset(found)


def one_line(message: str) -> str:
    """Fold a parser's message into one line in the project's words."""
    folded = " ".join(message.split())
    folded = re.sub(r"unrecognized arguments: ", "unknown key or option: ", folded)
    folded = re.sub(r"the following arguments are required: ", "missing keys: ", folded)
    folded = re.sub(r'Parser key "([^"]+)": Expected an? ', r"\1: expected ", folded)
    folded = re.sub(r"<class '(?:\w+\.)*(\w+)'>", r"\1", folded)
    return folded.replace(". Got value: ", ", found ").rstrip(".") + "."
