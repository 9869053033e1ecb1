"""Weight files from outside: names and shapes at once, numbers only when they are asked for.

So a converter can check everything first, and holds no more than one output file in memory.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from torch import Tensor

from jcdm.compat.checkpoint_files import read_checkpoint
from jcdm.errors import CheckpointError
from jcdm.naming import leads_out
from jcdm.reading import read_object

DIFFUSERS_STEMS = ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin")
TRANSFORMERS_STEMS = ("model.safetensors", "pytorch_model.bin")


class WeightFiles:
    """The weights of one model, in one file or in several.

    layout: every name with a tensor of its shape and dtype on the meta device, in file order.
    Errors: as `read_checkpoint`; CheckpointError where two files hold the same name.
    """

    def __init__(self, *paths: Path) -> None:
        self.paths = paths
        self.layout: dict[str, Tensor] = {}
        self._place: dict[str, Path] = {}
        for path in paths:
            tensors = read_checkpoint(path)
            if twice := sorted(tensors.keys() & self.layout.keys()):
                raise CheckpointError(
                    f"{path} holds {twice[0]!r}, which {self._place[twice[0]]} holds too; expected "
                    "files that complete each other. Copy the folder again."
                )
            self.layout |= {name: tensor.to("meta") for name, tensor in tensors.items()}
            self._place |= dict.fromkeys(tensors, path)

    def place(self, name: str) -> Path:
        """Return the file that holds a name."""
        return self._place[name]

    def read(self, names: Iterable[str]) -> dict[str, Tensor]:
        """Map the named tensors into memory; the memory is free again when they are dropped."""
        wanted = list(names)
        found: dict[str, Tensor] = {}
        for path in dict.fromkeys(self._place[name] for name in wanted):
            tensors = read_checkpoint(path, compare_checksums=False)  # compared when opened
            found |= {name: tensors[name] for name in wanted if self._place[name] == path}
        return found

    def __str__(self) -> str:
        """Name the file, or the folder of several files, in messages."""
        return str(self.paths[0] if len(self.paths) == 1 else self.paths[0].parent)


def open_folder(folder: Path, stems: tuple[str, ...]) -> WeightFiles:
    """Open the weights of a diffusers or transformers folder: one file, or shards and an index.

    stems: file names that the library gives its weights, the preferred one first.
    """
    for stem in stems:
        if (index := folder / f"{stem}.index.json").is_file():
            return WeightFiles(*_shards(index))
        if (single := folder / stem).is_file():
            return WeightFiles(single)
    raise CheckpointError(
        f"no weights in {folder}; expected {' or '.join(stems)} beside config.json, alone or in "
        "shards with an index. Check the path, or copy the folder again."
    )


def read_model_config(source: Path, subfolders: tuple[str, ...] = ()) -> tuple[Path, dict]:
    """Find config.json in `source`, or in the first of `subfolders` that has one: (folder, config).

    Errors: CheckpointError where there is none, or no JSON object in it.
    """
    for folder in (*(source / name for name in subfolders), source):
        if (folder / "config.json").is_file():
            return folder, read_json(folder / "config.json")
    raise CheckpointError(
        f"no config.json in {source}; expected a model folder as save_pretrained writes it. "
        "Check the path."
    )


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; CheckpointError where the file holds none."""
    return read_object(path, CheckpointError, "Copy the file again.")


def _shards(index: Path) -> list[Path]:
    """List the files of an index, each beside it and nowhere else."""
    table = read_json(index).get("weight_map")
    names = list(table.values()) if isinstance(table, dict) else []
    if not names or any(not isinstance(n, str) or Path(n).name != n or leads_out(n) for n in names):
        raise CheckpointError(
            f"{index} does not list files beside it; expected 'weight_map' with plain file names. "
            "Copy the folder again."
        )
    return [index.parent / name for name in sorted(set(names))]
