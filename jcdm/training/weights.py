"""Weight files to modules and back: safetensors only, strictly, errors naming the tensor."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from jcdm.errors import CheckpointError


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read one safetensors file to the CPU. Errors: CheckpointError when it is not one."""
    try:
        return load_file(path)
    except FileNotFoundError:
        raise CheckpointError(f"{path} not found; expected a safetensors file.") from None
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{path} cannot be read: {error}. Expected a safetensors file; take another checkpoint."
        ) from None


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors to one safetensors file."""
    save_file({name: t.detach().contiguous().cpu() for name, t in tensors.items()}, path)


def read_folder_tensors(folder: Path) -> dict[str, Tensor]:
    """Read all weights of a `save_pretrained` folder, in one file or in shards."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise CheckpointError(
            f"no weights in {folder}; expected config.json and *.safetensors as save_pretrained "
            "writes them. Check the path."
        )
    tensors: dict[str, Tensor] = {}
    for file in files:
        tensors.update(read_tensors(file))
    return tensors


def check_tensors(found: Mapping[str, Tensor], expected: Mapping[str, Tensor], where: Path) -> None:
    """Raise a CheckpointError unless names and shapes are those expected."""
    if missing := sorted(set(expected) - set(found)):
        raise CheckpointError(
            f"{where} lacks {len(missing)} of {len(expected)} tensors, first: {missing[0]}. "
            "It was saved from another model; check the sizes in the configuration."
        )
    if unknown := sorted(set(found) - set(expected)):
        raise CheckpointError(
            f"{where} holds {len(unknown)} tensors that the model has not, first: {unknown[0]}. "
            "It was saved from another model; check the sizes in the configuration."
        )
    for name, tensor in expected.items():
        if found[name].shape != tensor.shape:
            raise CheckpointError(
                f"{where}: {name} has shape {tuple(found[name].shape)}, expected "
                f"{tuple(tensor.shape)}; check the sizes in the configuration."
            )


@torch.no_grad()
def load_module(module: nn.Module, tensors: Mapping[str, Tensor], where: Path) -> None:
    """Fill a module with weights of exactly its names and shapes, in its own dtype."""
    expected = module.state_dict()
    check_tensors(tensors, expected, where)
    for name, tensor in expected.items():
        tensor.copy_(tensors[name])
