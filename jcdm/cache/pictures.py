"""Photographs as the frozen encoders are to see them, exactly as training would show them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from jcdm.cache.layout import CacheIdentity
from jcdm.data.images import load_image
from jcdm.data.transforms import ClipFit, GeometricDraw, Placement, clip_pixels, image_tensor
from jcdm.errors import MissingViewError


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """What a photograph's file is: content, size in bytes, time of its last change (ns)."""

    sha256: str
    num_bytes: int
    modified: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownPhotograph:
    """A photograph and its mirror image: images (2,3,H,W) or None, clip_pixels (2,3,S,S)."""

    images: Tensor | None
    clip_pixels: Tensor
    size: tuple[int, int]


def file_facts(picture: Path) -> FileFacts:
    """Read a file's facts. Errors: MissingViewError."""
    try:
        found = picture.stat()
        with picture.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise MissingViewError(
            f"picture {picture} not found. List all problems with: python -m jcdm data check."
        ) from None
    return FileFacts(sha256=content, num_bytes=found.st_size, modified=found.st_mtime_ns)


def show(photo: Image.Image, identity: CacheIdentity) -> ShownPhotograph:
    """Cut a photograph and its mirror image for both encoders."""
    cell, size = (identity.height, identity.width), (photo.height, photo.width)
    placements = [
        Placement.fit(size, cell, identity.fit, GeometricDraw(flip=flip)) for flip in (False, True)
    ]
    images = None
    if identity.vae is not None:
        images = torch.stack([image_tensor(placement.place(photo)) for placement in placements])
    both = (photo, photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    fit: ClipFit = "pad" if identity.clip_fit == "pad" else "crop"
    squares = torch.stack([clip_pixels(picture, identity.clip_size, fit) for picture in both])
    return ShownPhotograph(images=images, clip_pixels=squares, size=size)


class Photographs(Dataset[ShownPhotograph]):
    """Photographs on disk, shown to the encoders by their place in a list."""

    def __init__(self, pictures: Sequence[Path], identity: CacheIdentity) -> None:
        self.pictures, self.identity = pictures, identity

    def __len__(self) -> int:
        """Number of photographs."""
        return len(self.pictures)

    def __getitem__(self, place: int) -> ShownPhotograph:
        """Read and cut a photograph. Errors: DataError."""
        return show(load_image(self.pictures[place]), self.identity)
