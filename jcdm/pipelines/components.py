"""Loading and waking a pipeline's components."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from jcdm.errors import CheckpointError
from jcdm.models.encoders import FrozenCLIPVision, FrozenVAE
from jcdm.models.loading import check_config, check_sizes, clear_errors
from jcdm.plain import HUB_PREFIX
from jcdm.reading import read_object

LIBRARIES = ("diffusers", "transformers")
ENCODERS: dict[str, Any] = {"vae": FrozenVAE, "image_encoder": FrozenCLIPVision}


def wake(module: Any) -> Any:
    """Bring an offloaded component to its device before its methods run, and return it.

    Offloading hooks `forward` alone; the pipelines also call `condition`, `predict`, `encode`.
    """
    hook = getattr(module, "_hf_hook", None)
    if hook is not None:
        hook.pre_forward(module)
    return module


def frozen(wrapper: type[Any], model: Any, held: Any) -> Any:
    """Wrap an encoder, or return the wrapper held for it, which has its constants cached."""
    return held if held is not None and held.model is model else wrapper(model, model.dtype)


def read_pipeline(
    load: Callable[..., Any], source: Any, options: Mapping[str, Any], encoders: Sequence[str]
) -> Any:
    """Call `load`, diffusers' `from_pretrained`, with a local folder or `hub:owner/name`.

    Weights are loaded in float32 unless `options` name a dtype: transformers would keep the half
    precision of a file, which a CPU cannot compute in. Only safetensors are read, and of a local
    folder only whole models; `encoders` are those that belong to a library, not to this project.
    Raises CheckpointError for a folder that holds no pipeline or not all of it.
    """
    named = next((options[key] for key in ("dtype", "torch_dtype") if key in options), None)
    wanted = {"use_safetensors": True, "dtype": torch.float32 if named is None else named}
    wanted |= {key: value for key, value in options.items() if key not in ("dtype", "torch_dtype")}
    text = str(source)
    if text.startswith(HUB_PREFIX):
        return load(text.removeprefix(HUB_PREFIX), **wanted)
    folder = Path(text)
    if not (folder / "model_index.json").is_file():
        raise CheckpointError(
            f"{text} is not a pipeline folder: no model_index.json in it. Pass a folder that "
            f"save_pretrained wrote, or {HUB_PREFIX}owner/name."
        )
    _check_index(folder / "model_index.json")
    with clear_errors(text):
        return load(text, local_files_only=True, **_encoders(folder, encoders, wanted), **wanted)


def _check_index(file: Path) -> None:
    """Refuse a list of components that names code of its own: such code would run when loaded."""
    index = read_object(file, CheckpointError, "Copy the folder again.")
    with clear_errors(file):  # also for names that are too long for a file
        check_sizes(index)
        for name, entry in index.items():
            _check_component(file, name, entry)


def _check_component(file: Path, name: str, entry: Any) -> None:
    library = entry[0] if isinstance(entry, list) and entry else None
    if library is None:
        return
    if str(library) not in LIBRARIES and not str(library).startswith("jcdm."):
        raise CheckpointError(
            f"{file}: {name} is {str(entry)[:80]}, expected classes of {', '.join(LIBRARIES)} "
            "or jcdm alone; code in a folder of weights is never run. Copy the folder again "
            "from its source."
        )
    check_config(file.parent / name)


def _encoders(folder: Path, names: Sequence[str], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Read encoders strictly, unless the caller brings his own or places and casts them himself."""
    dtype = wanted["dtype"]
    if not isinstance(dtype, torch.dtype) or "device_map" in wanted or "variant" in wanted:
        return {}
    missing = [name for name in names if name not in wanted]
    return {
        name: ENCODERS[name].from_folder(folder / name, dtype, key="pipeline").model
        for name in missing
    }
