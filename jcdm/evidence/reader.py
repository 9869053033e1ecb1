"""The reader: a small network that finds silhouette and joints in a picture of a drawn person.

It judges painted pictures, so it is trained once, on drawn people, blurred and noisy ones among
them, and frozen before any comparison (`scripts/train_encoders.py reader`). Its error on unseen
true pictures stands beside every score that it gives.
"""

from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn

from jcdm.models.loading import StrictModel
from jcdm.records import NUM_KEYPOINTS


class PersonReader(StrictModel, ModelMixin, ConfigMixin):  # type: ignore[misc]
    """Pictures (B,3,H,W) in [-1,1] -> silhouette logits (B,H,W), joint logits (B,18,H,W).

    H and W are multiples of 8. A U-Net of four levels; a softmax over places reads joint logits.
    """

    @register_to_config
    def __init__(self, *, channels: tuple[int, ...] = (24, 40, 64, 64), groups: int = 8) -> None:
        super().__init__()
        self.entry = nn.Conv2d(3, channels[0], 3, padding=1)
        pairs = list(pairwise(channels))
        self.down = nn.ModuleList(_block(a, b, groups) for a, b in pairs)
        self.middle = _block(channels[-1], channels[-1], groups)
        self.up = nn.ModuleList(_block(a + b, a, groups) for a, b in reversed(pairs))
        self.last = _block(channels[0] + channels[0], channels[0], groups)
        self.exit = nn.Conv2d(channels[0], 1 + NUM_KEYPOINTS, 1)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Compute both kinds of logits."""
        state = self.entry(pictures)
        kept = [state]
        for block in self.down:
            state = block(F.avg_pool2d(state, 2))
            kept.append(state)
        state = self.middle(kept.pop())
        for block, skip in zip(self.up, reversed(kept), strict=True):
            state = F.interpolate(state, scale_factor=2.0, mode="nearest")
            state = block(torch.cat([state, skip], 1))
        logits = self.exit(self.last(torch.cat([state, kept[0]], 1)))
        return logits[:, 0], logits[:, 1:]

    @torch.no_grad()
    def read(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Return silhouettes (B,H,W) bool and joints (B,18,2), x and y in [0,1].

        A joint is the centre of gravity of the likeliest pixel's 5x5 neighbourhood.
        """
        silhouette, joints = self(pictures)
        return silhouette > 0, find_peaks(joints)


def _block(inputs: int, outputs: int, groups: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1),
        nn.GroupNorm(groups, outputs),
        nn.SiLU(),
        nn.Conv2d(outputs, outputs, 3, padding=1),
        nn.GroupNorm(groups, outputs),
        nn.SiLU(),
    )


def find_peaks(logits: Tensor) -> Tensor:
    """Place of the highest logit of each map to a fraction of a pixel: (B,K,H,W) -> (B,K,2)."""
    height, width = logits.shape[-2:]
    shares = logits.float().flatten(2).softmax(-1).unflatten(2, (height, width))
    best = shares.flatten(2).argmax(-1)
    rows, columns = torch.arange(height), torch.arange(width)
    near_row = (rows - (best // width)[..., None]).abs() <= 2
    near_column = (columns - (best % width)[..., None]).abs() <= 2
    shares = shares * near_row[..., :, None] * near_column[..., None, :]
    shares = shares / shares.sum((-2, -1), keepdim=True)
    y = (shares.sum(-1) * (rows + 0.5)).sum(-1) / height
    x = (shares.sum(-2) * (columns + 0.5)).sum(-1) / width
    return torch.stack([x, y], -1)


def load_reader(folder: Path) -> PersonReader:
    """Load a trained reader in float32. Errors: CheckpointError."""
    reader: PersonReader = PersonReader.from_pretrained(folder)
    return reader.float().eval().requires_grad_(False)
