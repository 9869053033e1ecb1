"""Inception-v3 up to its pooled features, under torchvision's weight names.

The field's FID uses torchvision's ImageNet weights. torchvision itself cannot be imported beside a
CPU build of torch (its compiled operators do not load), so the structure stands here as a table.
Source: Szegedy et al. (2016), "Rethinking the Inception Architecture for Computer Vision".
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

NUM_FEATURES = 2048
_SIDE = 299
_EPSILON = 0.001  # of batch normalisation
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Conv:
    """One convolution of a block: its name, output channels, kernel (height, width), stride."""

    name: str
    channels: int
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1


@dataclass(frozen=True, slots=True)
class Branch:
    """Convolutions in a row, after an optional pooling; `fork`: two side by side at the end."""

    convs: tuple[Conv, ...]
    pool: str = ""
    fork: tuple[Conv, ...] = ()


def _row(prefix: str, *steps: tuple[int, tuple[int, int]], stride: int = 1) -> Branch:
    """Name convolutions prefix_1, prefix_2, ...; the stride is the last one's."""
    last = len(steps) - 1
    return Branch(
        tuple(
            Conv(f"{prefix}_{i + 1}", channels, kernel, stride if i == last else 1)
            for i, (channels, kernel) in enumerate(steps)
        )
    )


_ONE, _THREE, _FIVE, _WIDE, _TALL = (1, 1), (3, 3), (5, 5), (1, 7), (7, 1)


def _pooled(channels: int) -> Branch:
    return Branch((Conv("branch_pool", channels),), pool="average")


def _block_35(pooled: int) -> tuple[Branch, ...]:
    return (
        Branch((Conv("branch1x1", 64),)),
        _row("branch5x5", (48, _ONE), (64, _FIVE)),
        _row("branch3x3dbl", (64, _ONE), (96, _THREE), (96, _THREE)),
        _pooled(pooled),
    )


def _block_17(inner: int) -> tuple[Branch, ...]:
    double = ((inner, _ONE), (inner, _TALL), (inner, _WIDE), (inner, _TALL), (192, _WIDE))
    return (
        Branch((Conv("branch1x1", 192),)),
        _row("branch7x7", (inner, _ONE), (inner, _WIDE), (192, _TALL)),
        _row("branch7x7dbl", *double),
        _pooled(192),
    )


def _forked(prefix: str, convs: tuple[Conv, ...], number: int) -> Branch:
    sides = (("a", (1, 3)), ("b", (3, 1)))
    return Branch(convs, fork=tuple(Conv(f"{prefix}_{number}{s}", 384, k) for s, k in sides))


def _block_8() -> tuple[Branch, ...]:
    double = (Conv("branch3x3dbl_1", 448), Conv("branch3x3dbl_2", 384, _THREE))
    return (
        Branch((Conv("branch1x1", 320),)),
        _forked("branch3x3", (Conv("branch3x3_1", 384),), 2),
        _forked("branch3x3dbl", double, 3),
        _pooled(192),
    )


_HALVE_35 = (
    Branch((Conv("branch3x3", 384, _THREE, 2),)),
    _row("branch3x3dbl", (64, _ONE), (96, _THREE), (96, _THREE), stride=2),
    Branch((), pool="largest"),
)
_HALVE_17 = (
    _row("branch3x3", (192, _ONE), (320, _THREE), stride=2),
    _row("branch7x7x3", (192, _ONE), (192, _WIDE), (192, _TALL), (192, _THREE), stride=2),
    Branch((), pool="largest"),
)
BLOCKS: Mapping[str, tuple[Branch, ...]] = {
    "Mixed_5b": _block_35(32),
    "Mixed_5c": _block_35(64),
    "Mixed_5d": _block_35(64),
    "Mixed_6a": _HALVE_35,
    "Mixed_6b": _block_17(128),
    "Mixed_6c": _block_17(160),
    "Mixed_6d": _block_17(160),
    "Mixed_6e": _block_17(192),
    "Mixed_7a": _HALVE_17,
    "Mixed_7b": _block_8(),
    "Mixed_7c": _block_8(),
}


def _head_shapes() -> Iterator[tuple[str, tuple[int, ...]]]:
    """Name the classifiers of torchvision's file, which no feature passes through."""
    for name, shape in (("conv0", (128, 768, 1, 1)), ("conv1", (768, 128, 5, 5))):
        yield f"AuxLogits.{name}.conv.weight", shape
        for part in ("weight", "bias", "running_mean", "running_var"):
            yield f"AuxLogits.{name}.bn.{part}", shape[:1]
    for name, inputs in (("AuxLogits.fc", 768), ("fc", NUM_FEATURES)):
        yield f"{name}.weight", (1000, inputs)
        yield f"{name}.bias", (1000,)


HEAD_SHAPES: Shapes = dict(_head_shapes())


class NormalisedConv(nn.Module):
    """Convolution without bias, batch normalisation, ReLU."""

    def __init__(
        self, inputs: int, outputs: int, kernel: tuple[int, int], stride: int, padding: bool
    ) -> None:
        super().__init__()
        edges = (kernel[0] // 2, kernel[1] // 2) if padding else (0, 0)
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, edges, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=_EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N,inputs,h,w) to (N,outputs,h',w')."""
        return F.relu(self.bn(self.conv(x)), inplace=True)


class MixedBlock(nn.Module):
    """Branches side by side, joined along channels."""

    def __init__(self, inputs: int, branches: Sequence[Branch]) -> None:
        super().__init__()
        self.branches, self.num_outputs = tuple(branches), 0
        for branch in branches:
            channels = inputs
            for conv in branch.convs:
                self._add(conv, channels)
                channels = conv.channels
            for conv in branch.fork:
                self._add(conv, channels)
            self.num_outputs += sum(conv.channels for conv in branch.fork) or channels

    def _add(self, conv: Conv, inputs: int) -> None:
        layer = NormalisedConv(inputs, conv.channels, conv.kernel, conv.stride, conv.stride == 1)
        self.add_module(conv.name, layer)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N,inputs,h,w) to (N,num_outputs,h',w')."""
        found: list[Tensor] = []
        for branch in self.branches:
            y = _POOLS[branch.pool](x)
            for conv in branch.convs:
                y = self.get_submodule(conv.name)(y)
            found += [self.get_submodule(conv.name)(y) for conv in branch.fork] or [y]
        return torch.cat(found, dim=1)


_POOLS = {
    "": lambda x: x,
    "average": lambda x: F.avg_pool2d(x, 3, stride=1, padding=1),
    "largest": lambda x: F.max_pool2d(x, 3, stride=2),
}


class InceptionTrunk(nn.Module):
    """Pictures to the pooled features of Inception-v3's last mixed block."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = NormalisedConv(3, 32, _THREE, 2, False)
        self.Conv2d_2a_3x3 = NormalisedConv(32, 32, _THREE, 1, False)
        self.Conv2d_2b_3x3 = NormalisedConv(32, 64, _THREE, 1, True)
        self.Conv2d_3b_1x1 = NormalisedConv(64, 80, _ONE, 1, False)
        self.Conv2d_4a_3x3 = NormalisedConv(80, 192, _THREE, 1, False)
        channels = 192
        for name, branches in BLOCKS.items():
            block = MixedBlock(channels, branches)
            self.add_module(name, block)
            channels = block.num_outputs

    def forward(self, x: Tensor) -> Tensor:
        """Features (N,2048) of prepared pictures (N,3,299,299)."""
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(F.max_pool2d(x, 3, stride=2)))
        x = F.max_pool2d(x, 3, stride=2)
        for name in BLOCKS:
            x = self.get_submodule(name)(x)
        return x.mean((2, 3))


def prepare_pictures(pictures: Tensor, *, symmetric: bool, antialias: bool) -> Tensor:
    """Resize (N,3,H,W), nominal [0,1], to 299x299 bilinearly and shift to the network's range.

    symmetric: [-1,1], as the weights were trained. Otherwise the affine map x * std / 0.5 +
    (mean - 0.5) / 0.5, which is meant for ImageNet-normalised pictures; the published protocols
    apply it to [0,1], about [-0.19, 0.43].
    """
    size = (_SIDE, _SIDE)
    x = F.interpolate(pictures, size, mode="bilinear", align_corners=False, antialias=antialias)
    if symmetric:
        return x * 2 - 1
    mean, std = (x.new_tensor(values).view(3, 1, 1) for values in (_MEAN, _STD))
    return x * (std / 0.5) + (mean - 0.5) / 0.5
