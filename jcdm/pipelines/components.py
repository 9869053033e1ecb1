"""Loading and waking a pipeline's components."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from jcdm.errors import CheckpointError
from jcdm.models.encoders import HUB_PREFIX


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


def load_options(source: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of diffusers' `from_pretrained` for a local folder or `hub:owner/name`.

    Weights are loaded in float32 unless `options` name a dtype: transformers would keep the half
    precision of a file, which a CPU cannot compute in. Raises CheckpointError before a library
    sees a folder that holds no pipeline.
    """
    text = str(source)
    names_dtype = not {"dtype", "torch_dtype"}.isdisjoint(options)
    wanted = dict(options) if names_dtype else {"dtype": torch.float32, **options}
    if text.startswith(HUB_PREFIX):
        return {"pretrained_model_name_or_path": text.removeprefix(HUB_PREFIX)} | wanted
    if not (Path(text) / "model_index.json").is_file():
        raise CheckpointError(
            f"{text} is not a pipeline folder: no model_index.json in it. Pass a folder that "
            f"save_pretrained wrote, or {HUB_PREFIX}owner/name."
        )
    return {"pretrained_model_name_or_path": text, "local_files_only": True} | wanted
