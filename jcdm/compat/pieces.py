"""Where each of our weights comes from, checked by name and shape, and written without a detour."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from huggingface_hub import split_torch_state_dict_into_shards
from safetensors.torch import save_file
from torch import Tensor

from jcdm.compat.weight_files import WeightFiles
from jcdm.errors import CheckpointError

LARGEST_FILE = 2 * 1024**3  # bytes of one output file, which is all that is in memory at a time


@dataclass(frozen=True, slots=True)
class Piece:
    """One weight of ours as it stands in a file: under which name, to which shape it is brought."""

    files: WeightFiles
    name: str
    shape: torch.Size

    @property
    def stored(self) -> Tensor:
        """The stored weight's shape and dtype, on the meta device."""
        return self.files.layout[self.name]


Pieces = dict[str, Piece]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyMap:
    """Names in a file <-> ours. A pure renaming, known from both sides.

    rename: our name for a stored one, None for one that does not belong there. official: the
    stored names of one of ours, for messages. ignored: stored, but read by nothing.
    """

    rename: Callable[[str], str | None]
    official: Callable[[str], Iterable[str]]
    ignored: Callable[[str], bool] = lambda _name: False


def match(files: WeightFiles, keys: KeyMap, expected: Mapping[str, Tensor]) -> Pieces:
    """Find all of `expected`, our names and shapes, in a file, and nothing else.

    Errors: CheckpointError naming the file and the first names that are missing, unknown, of
    another shape, not floating-point, or stored twice with different numbers.
    """
    pieces: Pieces = {}
    unknown: list[str] = []
    twins: dict[str, str] = {}
    for name in files.layout:
        if keys.ignored(name):
            continue
        ours = keys.rename(name)
        if ours is None or ours not in expected:
            unknown.append(name)
        elif ours in pieces:
            twins[name] = pieces[ours].name
        else:
            pieces[ours] = Piece(files, name, expected[ours].shape)
    missing = [next(iter(keys.official(ours))) for ours in expected if ours not in pieces]
    if missing or unknown:
        raise CheckpointError(_mismatch(files, missing, unknown))
    for piece in pieces.values():
        _check_shape(piece)
    _check_twins(files, twins)
    return pieces


def _mismatch(files: WeightFiles, missing: list[str], unknown: list[str]) -> str:
    parts = [
        f"{plural(len(names), 'weight')} {what}, first: {', '.join(names[:2])}"
        for what, names in (("missing", missing), ("unknown", unknown))
        if names
    ]
    return (
        f"{files}: {'; '.join(parts)}. Expected the weights of another model; check which file "
        "this is and that the configurations given belong to it."
    )


def plural(count: int, noun: str) -> str:
    """Write a count with its noun."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _check_shape(piece: Piece) -> None:
    stored = piece.stored
    if _essential(stored.shape) != _essential(piece.shape):
        raise CheckpointError(
            f"{piece.files}: {piece.name} has shape {tuple(stored.shape)}, expected "
            f"{tuple(piece.shape)}. Check which file this is and that the configurations given "
            "belong to it."
        )
    if not stored.is_floating_point():
        raise CheckpointError(
            f"{piece.files}: {piece.name} holds {stored.dtype}, expected floating-point numbers. "
            "Quantised weights are not supported; take the original file."
        )


def _essential(shape: torch.Size) -> list[int]:
    """Return a shape without its leading ones, by which published tokens differ from ours."""
    sizes = list(shape)
    while sizes and sizes[0] == 1:
        sizes.pop(0)
    return sizes


def _check_twins(files: WeightFiles, twins: Mapping[str, str]) -> None:
    """Raise a CheckpointError unless weights that are stored twice, and are one of ours, agree."""
    stored = files.read([*twins, *twins.values()])
    for second, first in twins.items():
        if not torch.equal(stored[first], stored[second]):
            raise CheckpointError(
                f"{files}: {second} differs from {first}; expected equal position tables. "
                "Check that the file is complete."
            )


def write_pieces(folder: Path, stem: str, pieces: Pieces, constants: Mapping[str, Tensor]) -> None:
    """Write weights, each in its stored dtype, to `stem`.safetensors, or to shards and an index.

    constants: weights that are in no file. Errors: as `read_pieces`.
    """
    layout = {name: piece.stored for name, piece in pieces.items()}
    layout |= {name: constant.to("meta") for name, constant in constants.items()}
    pattern = f"{stem}{{suffix}}.safetensors"
    plan = split_torch_state_dict_into_shards(
        layout, filename_pattern=pattern, max_shard_size=LARGEST_FILE
    )
    for file, names in plan.filename_to_tensors.items():
        tensors = read_pieces({name: pieces[name] for name in names if name in pieces})
        tensors |= {name: constants[name] for name in names if name in constants}
        save_file(tensors, folder / file, metadata={"format": "pt"})
    if plan.is_sharded:
        index = {"metadata": plan.metadata, "weight_map": plan.tensor_to_filename}
        path = folder / f"{stem}.safetensors.index.json"
        path.write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


def read_pieces(pieces: Pieces) -> dict[str, Tensor]:
    """Map weights into memory, in the shapes of ours; it is free again when they are dropped.

    Errors: CheckpointError for numbers that are not finite, which no trained model has.
    """
    found: dict[str, Tensor] = {}
    for files in dict.fromkeys(piece.files for piece in pieces.values()):
        ours = {name: piece for name, piece in pieces.items() if piece.files is files}
        stored = files.read(piece.name for piece in ours.values())
        for name, piece in ours.items():
            tensor = stored[piece.name]
            if not torch.isfinite(tensor).all():
                raise CheckpointError(
                    f"{files}: {piece.name} holds numbers that are not finite; expected trained "
                    "weights. Download or copy the file again."
                )
            found[name] = tensor.reshape(piece.shape).contiguous()
    return found
