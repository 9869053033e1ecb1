"""The scoring networks' weight files: where they come from, and that they are the right ones.

Everything is read from local files; nothing is downloaded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from einops import rearrange
from torch import Tensor, nn

from jcdm.compat.checkpoint_files import read_checkpoint
from jcdm.compat.hub_files import local_file
from jcdm.errors import CheckpointError
from jcdm.evaluation.protocols import inception, perceptual
from jcdm.evaluation.protocols.inception import InceptionTrunk
from jcdm.evaluation.protocols.perceptual import AlexNetTrunk, LinearHeads, PerceptualDistance

Network = TypeVar("Network", bound=nn.Module)

_COUNTER = "num_batches_tracked"  # of batch normalisation; not in every file, and not used
_HEADS_IN_WHEEL = Path("weights", "v0.1", "alex.pth")


@dataclass(frozen=True, slots=True, kw_only=True)
class Networks:
    """The networks at hand, in evaluation mode; None = its scores are left out."""

    inception: InceptionTrunk | None = None
    perceptual: PerceptualDistance | None = None


def load_networks(
    inception_file: Path | None, alexnet_file: Path | None, lpips_heads: Path | None = None
) -> Networks:
    """Load what there are files for, local or `hub:owner/name/file`, onto a GPU if there is one.

    lpips_heads: None = the file inside the installed `lpips` package.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    fid = load_inception(inception_file).to(device) if inception_file else None
    lpips = load_perceptual(alexnet_file, lpips_heads).to(device) if alexnet_file else None
    return Networks(inception=fid, perceptual=lpips)


def load_inception(path: Path) -> InceptionTrunk:
    """Load torchvision's `inception_v3` weights. Errors: CheckpointError."""
    return build_inception(read_checkpoint(local_file(path)), str(path))


def load_perceptual(alexnet: Path, heads: Path | None = None) -> PerceptualDistance:
    """Load torchvision's `alexnet` weights and the heads of LPIPS 0.1. Errors: CheckpointError."""
    weights = read_checkpoint(local_file(alexnet))
    tensors = read_checkpoint(local_file(heads) if heads else packaged_heads())
    return build_perceptual(weights, tensors, str(alexnet), str(heads or "lpips"))


def build_inception(tensors: Mapping[str, Tensor], where: str = "weights") -> InceptionTrunk:
    """Fill the trunk of Inception-v3 from torchvision's names; its classifiers may be absent."""
    return _fill(InceptionTrunk(), tensors, inception.HEAD_SHAPES, f"{where}: inception_v3")


def build_perceptual(
    alexnet: Mapping[str, Tensor],
    heads: Mapping[str, Tensor],
    where: str = "weights",
    heads_where: str = "heads",
) -> PerceptualDistance:
    """Join AlexNet from torchvision's names with the linear heads from those of `lpips`."""
    shapes = perceptual.CLASSIFIER_SHAPES
    trunk = _fill(AlexNetTrunk(), alexnet, shapes, f"{where}: alexnet")
    linear = _fill(LinearHeads(), heads, {}, f"{heads_where}: LPIPS heads")
    return PerceptualDistance(trunk, linear).eval().requires_grad_(False)


def packaged_heads() -> Path:
    """Find the heads inside the installed `lpips` package, which is not imported."""
    spec = find_spec("lpips")
    if spec is None or spec.origin is None:
        raise CheckpointError(
            "the package lpips, whose wheel holds the linear heads of LPIPS, is not installed. "
            "Install it, or name a file of heads."
        )
    return Path(spec.origin).parent / _HEADS_IN_WHEEL


def weight_shapes(network: str) -> dict[str, tuple[int, ...]]:
    """Shapes of all numbers in torchvision's file of `inception_v3` or `alexnet`, by name."""
    builders = {
        "inception_v3": (InceptionTrunk, inception.HEAD_SHAPES),
        "alexnet": (AlexNetTrunk, perceptual.CLASSIFIER_SHAPES),
    }
    if network not in builders:
        raise CheckpointError(f"network {network!r} is unknown; expected {' or '.join(builders)}.")
    kind, heads = builders[network]
    with torch.device("meta"):
        return _shapes(kind()) | dict(heads)


@torch.no_grad()
def run_network(network: nn.Module, *inputs: Tensor) -> np.ndarray:
    """Call a network in full float32: a GPU's short format for convolutions would show in FID."""
    with torch.backends.cudnn.flags(allow_tf32=False):
        return network(*inputs).float().cpu().numpy()


def stack_pictures(pictures: Sequence[np.ndarray], network: nn.Module) -> Tensor:
    """Put pictures (H,W,3) where a network is: (N,3,H,W)."""
    device = next(network.parameters()).device
    batch = torch.from_numpy(np.stack(pictures)).to(device)
    return rearrange(batch, "n h w c -> n c h w").contiguous()


def _shapes(module: nn.Module) -> dict[str, tuple[int, ...]]:
    state = module.state_dict().items()
    return {name: tuple(t.shape) for name, t in state if not name.endswith(_COUNTER)}


def _fill(
    module: Network, tensors: Mapping[str, Tensor], heads: inception.Shapes, what: str
) -> Network:
    """Load tensors strictly; only the classifiers in `heads` may be absent."""
    needed = _shapes(module)
    allowed = needed | dict(heads)
    given = {name: t for name, t in tensors.items() if not name.endswith(_COUNTER)}
    problems = [f"no {name}" for name in needed if name not in given]
    problems += [f"an unknown {name}" for name in given if name not in allowed]
    problems += [
        f"{name} of shape {tuple(t.shape)}, expected {allowed[name]}"
        for name, t in given.items()
        if name in allowed and tuple(t.shape) != allowed[name]
    ]
    if problems:
        raise CheckpointError(
            f"{what} expected, but the file has {problems[0]} ({len(problems)} problems). "
            "Name the weight file of this network."
        )
    module.load_state_dict({name: given[name].float() for name in needed}, strict=False)
    return module.eval().requires_grad_(False)
