"""Trained parts as folders: load one from wherever it stands, and export one for shipping."""

from pathlib import Path
from typing import Any

import torch

from jcdm.errors import CheckpointError
from jcdm.folders import MANIFEST, verify_folder, write_folder
from jcdm.models.apm import AppearancePriorTransformer
from jcdm.models.bounded import bounded_by
from jcdm.models.denoiser import JCDMDenoiser
from jcdm.models.loading import check_sizes, clear_errors
from jcdm.reading import read_object
from jcdm.training.checkpoint import EMA_FILE
from jcdm.training.checkpoint_folders import (
    FINAL,
    STATE_FILE,
    list_checkpoints,
    newest_whole,
    read_state,
)
from jcdm.training.weights import load_module, read_folder_tensors, read_tensors

PARTS: dict[str, Any] = {"prior": AppearancePriorTransformer, "denoiser": JCDMDenoiser}
CONFIG = "config.json"


def load_part(source: Path, part: str, key: str) -> Any:
    """Load a trained part in float32, with its averaged weights where a checkpoint has them.

    source: a `save_pretrained` folder, a checkpoint, or a run (its final/, else its newest whole
    checkpoint). Errors: CheckpointError naming the configuration `key` and the folder.
    """
    folder = weights_folder(source)
    if (folder / STATE_FILE).is_file():
        verify_folder(folder)
    elif (folder / MANIFEST).is_file() and (folder / CONFIG).is_file():
        verify_folder(folder, is_passed_on=True)
    return _read_part(folder, part, key)


def _read_part(folder: Path, part: str, key: str) -> Any:
    """Read a part from a verified folder of weights."""
    is_checkpoint = (folder / STATE_FILE).is_file()
    weights = folder / part if is_checkpoint else folder
    if not (weights / CONFIG).is_file():
        raise CheckpointError(
            f"{key}: no {part} in {folder}; expected a folder with config.json and *.safetensors, "
            "a checkpoint, or the folder of a run."
        )
    kind = PARTS[part]
    options = read_object(weights / CONFIG, CheckpointError, "Copy the folder again.")
    found = str(options.get("_class_name"))
    if found != kind.__name__:
        raise CheckpointError(
            f"{key}: {weights} holds weights of {found}, expected those of {kind.__name__}. "
            "Check the path."
        )
    with (
        torch.random.fork_rng(devices=[]),
        clear_errors(weights / CONFIG),
        bounded_by(weights),
    ):
        check_sizes(options)
        model = kind.from_config(options)
    tensors = read_folder_tensors(weights)
    if is_checkpoint:
        tensors |= read_tensors(folder / EMA_FILE)
    load_module(model, tensors, weights)
    return model.eval()


def weights_folder(source: Path) -> Path:
    """Return where a run's weights are: `final`, else its newest whole checkpoint.

    A folder that is no run is returned as it is.
    """
    if (source / FINAL / CONFIG).is_file():
        return source / FINAL
    return newest_whole(list_checkpoints(source)) or source


def export_part(source: Path, out: Path, *, dtype: torch.dtype = torch.float32) -> Path:
    """Write a checkpoint's averaged weights (EMA) as a `from_pretrained` folder `out`.

    source: a checkpoint, or a run, whose newest whole checkpoint is taken.
    """
    if (source / STATE_FILE).is_file():
        verify_folder(source)
        folder = source
    else:
        newest = newest_whole(list_checkpoints(source))
        if newest is None:
            raise CheckpointError(
                f"{source} holds no checkpoint; expected a run folder or one of its checkpoints/. "
                "Train first, or check the path."
            )
        folder = newest
    part = read_state(folder)["part"]
    if part not in PARTS:
        raise CheckpointError(
            f"{folder} is a checkpoint of {part!r}; expected one of {', '.join(PARTS)}."
        )
    model = _read_part(folder, part, "checkpoint")
    torch.nn.Module.to(model, dtype=dtype)  # diffusers' own `to` warns at every cast
    write_folder(out, model.save_pretrained)
    return out
