"""The reader of silhouettes and joints that judges paintings; see jcdm/evidence/reader.py."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from jcdm.evidence.reader import PersonReader
from tiny_encoders.drawing import NUM_TEST, SIZE
from tiny_encoders.fitting import batches, train
from tiny_encoders.vae import to_float

BATCH_SIZE = 32


def train_reader(work: Path, num_steps: int) -> None:
    """Silhouettes by cross-entropy a pixel, seen joints by cross-entropy over places."""
    images = np.load(work / "images.npy", mmap_mode="r")[NUM_TEST:].reshape(-1, *SIZE, 3)
    regions = np.load(work / "regions.npy", mmap_mode="r")[NUM_TEST:].reshape(-1, *SIZE)
    joints = np.load(work / "joints.npy")[NUM_TEST:].reshape(-1, 18, 3)
    torch.manual_seed(0)
    reader = PersonReader().to(memory_format=torch.channels_last)
    stream, draws = batches(len(images), BATCH_SIZE, seed=0), torch.Generator().manual_seed(0)

    def loss_of(step: int) -> Tensor:
        rows = np.sort(next(stream))
        pictures = spoil(to_float(images[rows]), draws)
        with torch.autocast("cpu", torch.bfloat16):
            silhouette, maps = reader(pictures)
        person = torch.from_numpy((regions[rows] > 0).astype(np.float32))
        outline = F.binary_cross_entropy_with_logits(silhouette.float(), person)
        seen = torch.from_numpy(joints[rows, :, 2] > 0)
        places = _places(torch.from_numpy(joints[rows, :, :2]))
        where = F.cross_entropy(maps.float().flatten(2)[seen], places[seen])
        return outline + 0.2 * where

    train("reader", reader, loss_of, work, num_steps, rate=3e-3)


def spoil(pictures: Tensor, draws: torch.Generator) -> Tensor:
    """Blur and disturb pictures (B,3,H,W) in [-1,1], as paintings are; leave every third alone."""
    share = 0.25 + 0.75 * float(torch.rand((), generator=draws))
    small = F.interpolate(pictures, scale_factor=share, mode="bilinear", antialias=True)
    blurred = F.interpolate(small, pictures.shape[-2:], mode="bilinear")
    noise = torch.randn(pictures.shape, generator=draws)
    coarse = torch.randn(len(pictures), 3, 8, 6, generator=draws)
    clouds = F.interpolate(coarse, pictures.shape[-2:], mode="bilinear")
    strength = torch.rand(3, len(pictures), 1, 1, 1, generator=draws)
    spoilt = pictures + strength[0] * (blurred - pictures)
    spoilt = spoilt + 0.1 * strength[1] * noise + 0.25 * strength[2] * clouds
    kept = torch.arange(len(pictures))[:, None, None, None] % 3 == 0
    return torch.where(kept, pictures, spoilt).clamp(-1, 1)


def _places(joints: Tensor) -> Tensor:
    """Number of the pixel that each joint (B,K,2) in [0,1] lies in: (B,K)."""
    height, width = SIZE
    x = (joints[..., 0] * width).long().clamp(0, width - 1)
    y = (joints[..., 1] * height).long().clamp(0, height - 1)
    return y * width + x


@torch.no_grad()
def check_reader(work: Path, images: np.ndarray, regions: np.ndarray) -> dict[str, float]:
    """Return the reader's errors on unseen true pictures."""
    reader = PersonReader().eval()
    reader.load_state_dict(load_file(work / "reader.safetensors"))
    joints = np.load(work / "joints.npy")[: len(images)].reshape(-1, 18, 3)
    pictures = to_float(np.asarray(images).reshape(-1, *SIZE, 3))
    read = [reader.read(some) for some in pictures.split(64)]
    outlines, places = (torch.cat(part) for part in zip(*read, strict=True))
    person = torch.from_numpy(np.asarray(regions).reshape(-1, *SIZE) > 0)
    common, union = (outlines & person).sum((1, 2)), (outlines | person).sum((1, 2))
    seen = joints[..., 2] > 0
    gaps = np.linalg.norm(places.numpy() - joints[..., :2], axis=-1)[seen]
    return {
        "reader_overlap": float((common / union).mean()),
        "reader_joint_gap": float(np.median(gaps)),
        "reader_joints_within_0.1": float((gaps < 0.1).mean()),
    }
