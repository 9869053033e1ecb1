"""Counter-based randomness: every random number is a function of (key, purpose), never of history.

A sample's key is a hash of (run seed, epoch, sample index). Numbers drawn from it are the same in
any order, on any number of processes and after any resume.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

NUM_KEY_BITS = 63


def sample_key(seed: int, epoch: int, index: int) -> int:
    """Hash (run seed, epoch, sample index) to a non-negative int64."""
    digest = hashlib.blake2b(f"{seed}/{epoch}/{index}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> (64 - NUM_KEY_BITS)


def generator(key: int, purpose: str) -> np.random.Generator:
    """Return the Philox stream that belongs to one key and one purpose (such as "noise")."""
    digest = hashlib.blake2b(f"{key}/{purpose}".encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))


def draw_normal(keys: Tensor, purpose: str, shape: Sequence[int]) -> Tensor:
    """Standard normal float32 numbers on the CPU: keys (B,) -> (B, *shape), one stream a sample."""
    rows = [generator(k, purpose).standard_normal(tuple(shape), np.float32) for k in keys.tolist()]
    return torch.from_numpy(np.stack(rows))


def draw_uniform(keys: Tensor, purpose: str, shape: Sequence[int] = ()) -> Tensor:
    """Uniform float32 numbers in [0, 1) on the CPU: keys (B,) -> (B, *shape)."""
    rows = [generator(k, purpose).random(tuple(shape), np.float32) for k in keys.tolist()]
    return torch.from_numpy(np.stack(rows))


def draw_integers(keys: Tensor, purpose: str, high: int, shape: Sequence[int] = ()) -> Tensor:
    """Uniform int64 numbers in 0..high-1 on the CPU: keys (B,) -> (B, *shape)."""
    rows = [generator(k, purpose).integers(high, size=tuple(shape)) for k in keys.tolist()]
    return torch.from_numpy(np.stack(rows).astype(np.int64))
