"""The package `lpips` itself, with given weights, as an independent witness.

It imports torchvision for AlexNet's layers alone. Where torchvision does not load, as beside a CPU
build of torch, a stand-in gives it those layers; all else is the package's own code.
"""

import sys
from collections.abc import Mapping
from types import ModuleType, SimpleNamespace
from unittest.mock import patch

import torch
from torch import Tensor, nn


def lpips_package(alexnet: Mapping[str, Tensor], heads: Mapping[str, Tensor]) -> nn.Module:
    """Build lpips.LPIPS(net="alex") with torchvision's names of weights and its own of heads."""
    with patch.dict(sys.modules, _torchvision()):
        import lpips

        package = lpips.LPIPS(net="alex", pnet_rand=True, pretrained=False, verbose=False).eval()
    for name, module in package.net.named_modules():
        if isinstance(module, nn.Conv2d):
            place = name.split(".")[-1]
            for part in ("weight", "bias"):
                getattr(module, part).data = alexnet[f"features.{place}.{part}"].clone()
    for i in range(5):
        weight = heads[f"lin{i}.model.1.weight"]
        getattr(package, f"lin{i}").model[1].weight.data = weight.clone()
    return package


def _torchvision() -> dict[str, ModuleType]:
    try:
        import torchvision

        return {"torchvision": torchvision, "torchvision.models": torchvision.models}
    except Exception:  # a build that does not fit raises almost anything
        models, package = ModuleType("torchvision.models"), ModuleType("torchvision")
        models.alexnet = lambda **_: SimpleNamespace(features=_alexnet())  # type: ignore[attr-defined]
        package.models = models  # type: ignore[attr-defined]
        return {"torchvision": package, "torchvision.models": models}


def _alexnet() -> nn.Sequential:
    """AlexNet's convolutions (Krizhevsky, 2014), in the published order of layers."""

    def conv(*numbers: int, **options: int) -> list[nn.Module]:
        return [nn.Conv2d(*numbers, **options), nn.ReLU(inplace=True)]

    return nn.Sequential(
        *conv(3, 64, 11, stride=4, padding=2),
        nn.MaxPool2d(3, 2),
        *conv(64, 192, 5, padding=2),
        nn.MaxPool2d(3, 2),
        *conv(192, 384, 3, padding=1),
        *conv(384, 256, 3, padding=1),
        *conv(256, 256, 3, padding=1),
        nn.MaxPool2d(3, 2),
    )


def distances(package: nn.Module, first: Tensor, second: Tensor, *, normalize: bool) -> Tensor:
    """Distances (N,) of pictures (N,3,H,W); normalize: they are in [0,1], not [-1,1]."""
    with torch.no_grad():
        return package(first, second, normalize=normalize).flatten()
