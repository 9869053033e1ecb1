"""Strict reading of saved models: safetensors only, and one line for whatever does not fit."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from jcdm.errors import CheckpointError, JCDMError
from jcdm.models.bounded import bounded_by
from jcdm.plain import HUB_PREFIX
from jcdm.reading import read_object

LONGEST_REASON = 240
LARGEST_SIZE = 100_000  # wider than any layer, longer than any vocabulary of CLIP
CONFIGS = ("config.json", "scheduler_config.json")


@contextmanager
def clear_errors(where: Any) -> Iterator[None]:
    """Turn what libraries raise for unreadable weights into one CheckpointError naming `where`."""
    try:
        yield
    except JCDMError:
        raise
    except Exception as error:  # a damaged configuration can make any layer raise
        first_sentence = " ".join(str(error).split()).split(". ")[0]  # the rest is for programmers
        reason = first_sentence[:LONGEST_REASON].rstrip(".")
        raise CheckpointError(
            f"{where} cannot be loaded: {reason}. Expected weights (safetensors) that fit "
            "config.json beside them; save or copy them again."
        ) from error


def check_config(folder: Path) -> None:
    """Refuse a model's folder whose configuration is no object, or has sizes that fill any memory.

    diffusers takes a configuration that is a word for a name on the hub, and asks there for it.
    Errors: CheckpointError.
    """
    for file in (folder / name for name in CONFIGS):
        if file.is_file():
            content = read_object(file, CheckpointError, "Save or copy the folder again.")
            with clear_errors(file):
                check_sizes(content)


def check_sizes(config: Any) -> None:
    """Raise a ValueError for a number in a model's configuration that would fill any memory.

    It is found before libraries begin to build what weights cannot fit anyway.
    """
    inner = config.values() if isinstance(config, dict) else config
    if isinstance(inner, list | tuple) or isinstance(config, dict):
        for value in inner:
            check_sizes(value)
    elif isinstance(config, int | float) and abs(config) > LARGEST_SIZE:
        raise ValueError(f"found {config}, expected sizes of at most {LARGEST_SIZE:,}")


def read_model(
    load: Callable[..., Any], where: Any, *, allow_unknown: bool = False, **options: Any
) -> tuple[Any, dict[str, Any]]:
    """Call `load`, a library's `from_pretrained`, and accept a whole model only: (model, report).

    allow_unknown: weights that the class has no place for are left out (the text half of a CLIP).
    Errors: CheckpointError for weights that are missing, unknown or of another shape; without
    this, libraries fill the gaps with random numbers.
    """
    is_local = not str(where).startswith(HUB_PREFIX)
    if is_local:
        check_config(Path(where))
    with clear_errors(where), bounded_by(Path(where)) if is_local else nullcontext():
        model, report = load(**{**options, "use_safetensors": True, "output_loading_info": True})
    missing = [*report["missing_keys"], *(wrong[0] for wrong in report["mismatched_keys"])]
    unknown = [] if allow_unknown else list(report["unexpected_keys"])
    if missing or unknown:
        raise CheckpointError(
            f"{where}: {len(missing)} weights missing, {len(unknown)} unknown, first: "
            f"{sorted([*missing, *unknown])[0]}. Expected weights that fit config.json beside "
            "them; save or copy them again."
        )
    return model, report


class StrictModel:
    """Mixin in front of diffusers' ModelMixin: `from_pretrained` accepts a whole model only."""

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, **options: Any) -> Any:
        """Read a folder of `save_pretrained`; CheckpointError where its weights do not fit."""
        folder = Path(pretrained_model_name_or_path, options.get("subfolder") or "")
        if not (folder / "config.json").is_file():
            raise CheckpointError(
                f"no {cls.__name__} in {folder}: config.json not found, expected a folder written "
                "by save_pretrained. Check the path."
            )
        if not any(folder.glob("*.safetensors")):
            raise CheckpointError(
                f"no weights in {folder}: expected *.safetensors beside config.json, as "
                "save_pretrained writes them. Copy them again."
            )
        wants_report = options.pop("output_loading_info", False)
        load = partial(super().from_pretrained, pretrained_model_name_or_path)  # type: ignore[misc]
        model, report = read_model(load, folder, **options)
        return (model, report) if wants_report else model
