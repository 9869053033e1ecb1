"""The scoring networks: their structure, their weight files, and LPIPS by its formula."""

import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from jcdm.compat.checkpoint_files import read_checkpoint
from jcdm.errors import CheckpointError
from jcdm.evaluation.parity.seeded import seeded_weights
from jcdm.evaluation.protocols.inception import prepare_pictures
from jcdm.evaluation.protocols.networks import (
    build_inception,
    build_perceptual,
    load_inception,
    load_networks,
    load_perceptual,
    packaged_heads,
    weight_shapes,
)

Weights = dict[str, Tensor]


@pytest.fixture(scope="module")
def alexnet() -> Weights:
    weights = seeded_weights("alexnet", 1)
    return {name: t for name, t in weights.items() if name.startswith("features")}


@pytest.fixture(scope="module")
def inception() -> Weights:
    weights = seeded_weights("inception_v3", 1)
    return {name: t for name, t in weights.items() if not name.startswith(("Aux", "fc"))}


def lpips_by_formula(first: Tensor, second: Tensor, weights: Weights, heads: Weights) -> Tensor:
    """Zhang et al. (2018), equation 1, layer by layer."""
    shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
    strides = {0: (4, 2), 3: (1, 2), 6: (1, 1), 8: (1, 1), 10: (1, 1)}
    x = torch.stack([first, second]).flatten(0, 1)
    x, total = (x - shift[:, None, None]) / scale[:, None, None], torch.zeros(len(first))
    for i, (place, (stride, padding)) in enumerate(strides.items()):
        if place in (3, 6):
            x = F.max_pool2d(x, 3, 2)
        weight, bias = (weights[f"features.{place}.{part}"] for part in ("weight", "bias"))
        x = F.relu(F.conv2d(x, weight, bias, stride=stride, padding=padding))
        unit = x / (x.pow(2).sum(1, keepdim=True).sqrt() + 1e-10)
        gap = (unit[: len(first)] - unit[len(first) :]) ** 2
        weighed = gap * heads[f"lin{i}.model.1.weight"].view(1, -1, 1, 1)
        total = total + weighed.sum(1).mean((1, 2))
    return total


def test_lpips_equals_its_formula(alexnet: Weights) -> None:
    heads = read_checkpoint(packaged_heads())
    network = build_perceptual(alexnet, heads)
    torch.manual_seed(0)
    first, second = torch.rand(3, 3, 80, 64), torch.rand(3, 3, 80, 64)
    expected = lpips_by_formula(first, second, alexnet, heads)
    torch.testing.assert_close(network(first, second), expected, rtol=1e-5, atol=1e-8)
    assert network(first, first).abs().max() == 0


def test_networks_equal_torchvision_s(alexnet: Weights, inception: Weights) -> None:
    try:
        from torchvision import models
    except Exception:
        pytest.skip("torchvision does not load beside this build of torch")
    published = models.inception_v3(weights=None, init_weights=False).eval()
    shapes = {k: tuple(t.shape) for k, t in published.state_dict().items() if "num_b" not in k}
    assert shapes == weight_shapes("inception_v3")
    published.load_state_dict(inception, strict=False)
    published.fc = torch.nn.Identity()
    pictures = torch.rand(1, 3, 299, 299)
    with torch.no_grad():
        torch.testing.assert_close(build_inception(inception)(pictures), published(pictures))
    other = models.alexnet(weights=None).state_dict()
    assert {k: tuple(t.shape) for k, t in other.items()} == weight_shapes("alexnet")


def test_the_pictures_inception_sees() -> None:
    grey = torch.full((1, 3, 40, 30), 1.0)
    published = prepare_pictures(grey, symmetric=False, antialias=False)
    expected = torch.tensor([1 * 0.229 / 0.5 + (0.485 - 0.5) / 0.5])
    assert published.shape == (1, 3, 299, 299)
    torch.testing.assert_close(published[0, 0, 0, :1], expected)
    assert prepare_pictures(grey, symmetric=True, antialias=True).unique().item() == 1
    large = torch.rand(1, 3, 600, 400)
    plain, smooth = (prepare_pictures(large, symmetric=True, antialias=a) for a in (False, True))
    assert plain.std() > 1.2 * smooth.std()


def test_weights_load_from_files(alexnet: Weights, inception: Weights, tmp_path: Path) -> None:
    paths = tmp_path / "inception.pth", tmp_path / "alexnet.pth"
    torch.save(inception, paths[0])
    torch.save(alexnet, paths[1])
    networks = load_networks(*paths)
    assert networks.inception is not None and networks.perceptual is not None
    found = networks.inception.state_dict()["Mixed_7c.branch_pool.conv.weight"].cpu()
    assert torch.equal(found, inception["Mixed_7c.branch_pool.conv.weight"])
    assert load_networks(None, None).inception is None
    assert not networks.inception.training


def test_weights_of_another_network_are_refused(
    alexnet: Weights, inception: Weights, tmp_path: Path
) -> None:
    path = tmp_path / "weights.pth"
    torch.save(alexnet, path)
    with pytest.raises(CheckpointError, match=r"inception_v3 expected.* no Conv2d_1a"):
        load_inception(path)
    torch.save(inception, path)
    with pytest.raises(CheckpointError, match="alexnet expected"):
        load_perceptual(path)
    torch.save(inception | {"fc.weight": torch.zeros(1008, 2048)}, path)
    with pytest.raises(CheckpointError, match=r"fc\.weight of shape \(1008, 2048\)"):
        load_inception(path)
    with pytest.raises(CheckpointError, match="not found"):
        load_inception(tmp_path / "absent.pth")
    path.write_text("text")
    with pytest.raises(CheckpointError, match="no weight file"):
        load_inception(path)


def test_seeded_weights_follow_their_rule() -> None:
    name = "features.0.bias"
    seed = zlib.crc32(name.encode()) + 5
    values = np.random.Generator(np.random.PCG64(seed)).random(64) * 2 - 1
    found = seeded_weights("alexnet", 5)[name].numpy()
    np.testing.assert_array_equal(found, (0.1 * values).astype(np.float32))
    with pytest.raises(CheckpointError, match="unknown"):
        seeded_weights("vgg", 5)
