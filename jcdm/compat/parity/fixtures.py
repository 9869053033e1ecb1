"""A folder of recorded numbers: its manifest, its files, and which of them have been read."""

import hashlib
import io
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from einops import rearrange
from PIL import Image
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from jcdm.compat.checkpoint_files import read_checkpoint
from jcdm.compat.parity.comparison import Row, failure
from jcdm.errors import DataError
from jcdm.reading import read_object

MANIFEST = "MANIFEST.json"
TENSORS, WEIGHTS, SETTINGS = ".io.safetensors", ".weights.safetensors", ".json"
_GUIDED = re.compile(r"(g(\d+(?:\.\d+)?))\.\D")


class MissingFixtureError(DataError):
    """A recorded file that a comparison needs is not in the folder."""


class FixtureFolder:
    """Reads fixtures by name and remembers which of the listed files were read.

    manifest: file name -> its entry. Errors: DataError for a folder without a readable manifest.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = _read_manifest(folder / MANIFEST)
        self.read: set[str] = set()

    def check_sums(self) -> Iterator[Row]:
        """Compare the listed files with their recorded hashes: a row for each that differs."""
        for name, entry in self.manifest.items():
            path = self.folder / name
            if path.is_file() and _sha256(path) != entry.get("sha256"):
                yield failure(f"{name} sha256", "differs from the manifest; copy the folder again")

    def listed_tensors(self) -> Iterator[tuple[str, str]]:
        """Name every recorded tensor, in the manifest or in a listed file: (fixture, tensor)."""
        for name, entry in self.manifest.items():
            if name.endswith(TENSORS):
                for tensor in dict.fromkeys(
                    [*entry.get("tensors", ()), *_names(self.folder / name)]
                ):
                    yield name.removesuffix(TENSORS), tensor

    def tensors(self, fixture: str) -> dict[str, Tensor]:
        """Read recorded numbers, without the length-1 frame axis of the published 3-D models.

        That axis stands before height and width: (...,C,1,H,W) becomes (...,C,H,W).
        """
        found = load_file(self._path(fixture + TENSORS))
        return {key: _without_frame_axis(value) for key, value in found.items()}

    def weights(self, fixture: str) -> dict[str, Tensor]:
        """Read a state dict under its published names."""
        return read_checkpoint(self._path(fixture + WEIGHTS))

    def settings(self, fixture: str) -> dict[str, Any]:
        """Read the constructor configuration and settings of a fixture."""
        return read_object(self._path(fixture + SETTINGS), DataError, "Copy the folder again.")

    def _path(self, name: str) -> Path:
        path = self.folder / name
        if name not in self.manifest or not path.is_file():
            where = "in the folder" if name in self.manifest else f"listed in {MANIFEST}"
            raise MissingFixtureError(f"{name} is not {where}; expected it beside the others.")
        self.read.add(name)
        return path


def picture(encoded: Tensor) -> Image.Image:
    """Decode a picture stored as the bytes of a PNG file, uint8 (N,), as RGB."""
    return Image.open(io.BytesIO(encoded.numpy().tobytes())).convert("RGB")


def guidance_scales(
    golden: Mapping[str, Tensor], settings: Mapping[str, Any]
) -> list[tuple[str, float]]:
    """Pair what was recorded at a guidance scale with that scale: `g2.image` -> ("g2", 2.0).

    The scales are those of the settings, in their order of size, or else those of the names.
    """
    matches = (_GUIDED.match(name) for name in golden)
    named = {float(match[2]): match[1] for match in matches if match}
    scales = sorted(settings.get("guidance_scales", named))
    return [(named[number], scale) for number, scale in zip(sorted(named), scales, strict=True)]


def _read_manifest(path: Path) -> dict[str, Any]:
    hint = "Point --fixtures at a folder of recorded numbers."
    if not path.is_file():
        raise DataError(f"{path} not found; expected the list of the folder's files. {hint}")
    manifest = read_object(path, DataError, hint)
    entries = list(manifest.values())
    if not entries or not all(isinstance(entry, dict) for entry in entries):
        raise DataError(f"{path} lists no files; expected an entry with sha256 for each. {hint}")
    return manifest


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _names(path: Path) -> list[str]:
    """Names of the tensors in a file; none of one that cannot be read, which its case reports."""
    try:
        with safe_open(path, "pt") as file:
            return list(file.keys())
    except (OSError, SafetensorError):
        return []


def _without_frame_axis(tensor: Tensor) -> Tensor:
    if tensor.ndim >= 5 and tensor.shape[-3] == 1:
        return rearrange(tensor, "... 1 h w -> ... h w")
    return tensor
