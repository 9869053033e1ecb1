"""What tells one set of weights from another."""

import hashlib

import torch
from torch import nn


def weights_hash(module: nn.Module) -> str:
    """Hash all numbers of a network with their names: SHA-256, hexadecimal."""
    found = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        found.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        found.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return found.hexdigest()
