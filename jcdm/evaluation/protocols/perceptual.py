"""LPIPS: the distance of two pictures in AlexNet's features, weighted by learned linear heads.

Source: Zhang et al. (2018), "The Unreasonable Effectiveness of Deep Features as a Perceptual
Metric", version 0.1. AlexNet under torchvision's weight names, heads under those of `lpips`.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

_CHANNELS = (64, 192, 384, 256, 256)
_TAPS = (1, 4, 7, 9, 11)  # the five ReLUs
_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # of pictures in [-1,1]
_EPSILON = 1e-10

CLASSIFIER_SHAPES: Mapping[str, tuple[int, ...]] = {
    "classifier.1.weight": (4096, 9216),
    "classifier.1.bias": (4096,),
    "classifier.4.weight": (4096, 4096),
    "classifier.4.bias": (4096,),
    "classifier.6.weight": (1000, 4096),
    "classifier.6.bias": (1000,),
}
"""The part of torchvision's AlexNet file that no feature passes through."""


class AlexNetTrunk(nn.Module):
    """The convolutions of AlexNet, which return what leaves each ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 11, stride=4, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(64, 192, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(192, 384, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(384, 256, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(256, 256, 3, padding=1),
            nn.ReLU(),
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the five feature maps (N,C,h,w) of pictures (N,3,H,W)."""
        found = []
        for place, layer in enumerate(self.features):
            x = layer(x)
            if place in _TAPS:
                found.append(x)
        return found


class LinearHeads(nn.Module):
    """One weight a feature channel, as a 1x1 convolution to one number, for five layers."""

    def __init__(self) -> None:
        super().__init__()
        for i, channels in enumerate(_CHANNELS):
            # Place 0 of the published heads is a dropout, which does nothing here.
            conv = nn.Conv2d(channels, 1, 1, bias=False)
            self.add_module(f"lin{i}", nn.ModuleDict({"model": nn.ModuleDict({"1": conv})}))

    def forward(self, differences: list[Tensor]) -> Tensor:
        """Weigh five squared differences (N,C,h,w), mean over places, sum over layers: (N,)."""
        heads = (self.get_submodule(f"lin{i}.model.1") for i in range(len(_CHANNELS)))
        layers = [head(gap).mean((1, 2, 3)) for head, gap in zip(heads, differences, strict=True)]
        return torch.stack(layers).sum(0)


class PerceptualDistance(nn.Module):
    """LPIPS 0.1 with AlexNet."""

    def __init__(self, trunk: AlexNetTrunk, heads: LinearHeads) -> None:
        super().__init__()
        self.trunk, self.heads = trunk, heads
        self.shift: Tensor
        self.scale: Tensor
        self.register_buffer("shift", torch.tensor(_SHIFT).view(3, 1, 1))
        self.register_buffer("scale", torch.tensor(_SCALE).view(3, 1, 1))

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Distances (N,) of pictures (N,3,H,W), taken as they are; meant for [-1,1]."""
        ours, theirs = (self.trunk((x - self.shift) / self.scale) for x in (first, second))
        pairs = zip(ours, theirs, strict=True)
        return self.heads([(_unit(a) - _unit(b)).square() for a, b in pairs])


def _unit(features: Tensor) -> Tensor:
    return features / (features.square().sum(1, keepdim=True).sqrt() + _EPSILON)
