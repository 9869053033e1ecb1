"""Drawn people, their poses and batches of pairs, for tests of scores of the person."""

from functools import cache

import numpy as np
import torch
from torch import Tensor
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from jcdm.data.synthetic import DrawnView, render_view
from jcdm.evaluation.pair_scores import PairBatch
from jcdm.evaluation.parity.seeded import seeded_weights
from jcdm.evaluation.protocols.networks import build_perceptual
from jcdm.evaluation.protocols.perceptual import PerceptualDistance
from jcdm.models.encoders import FrozenCLIPVision

SIZE = (128, 96)
NOBODY = np.zeros((18, 3), np.float32)


@cache
def drawn(identity: int, view: int = 0, size: tuple[int, int] = SIZE) -> DrawnView:
    return render_view(seed=3, identity=identity, view=view, size=size)


def picture(view: DrawnView) -> np.ndarray:
    """The drawn photograph, (H,W,3) float32 in [0,1]."""
    return view.image.astype(np.float32) / np.float32(255)


def pose(view: DrawnView, *, hidden: bool = True) -> np.ndarray:
    """All joints inside the picture (18,3), as a detector finds them; or the visible ones only."""
    inside = ((view.keypoints >= 0) & (view.keypoints <= 1)).all(1)
    known = inside if hidden else view.keypoint_valid
    return np.concatenate([view.keypoints, known[:, None]], 1).astype(np.float32)


def noisy(pixels: np.ndarray, strength: float, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal(pixels.shape)
    return np.clip(pixels + strength * noise, 0, 1).astype(np.float32)


def batch(*triples: tuple[np.ndarray, np.ndarray, np.ndarray]) -> PairBatch:
    """Join triples of generated, truth and pose."""
    generated, truth, poses = (np.stack(column) for column in zip(*triples, strict=True))
    return PairBatch(generated=generated, truth=truth, poses=poses)


def ranking() -> PairBatch:
    """One truth against itself, slightly noisy, and another person in the same pose's place."""
    view, other = drawn(0), drawn(4)
    truth, joints = picture(view), pose(view)
    painted = [truth, noisy(truth, 0.03), picture(other)]
    return batch(*[(generated, truth, joints) for generated in painted])


@cache
def alexnet() -> dict[str, Tensor]:
    weights = seeded_weights("alexnet", 1)
    return {name: t for name, t in weights.items() if name.startswith("features")}


@cache
def heads() -> dict[str, Tensor]:
    """Positive weights of LPIPS's linear heads, one a channel."""
    generator = torch.Generator().manual_seed(0)
    widths = (64, 192, 384, 256, 256)
    return {
        f"lin{i}.model.1.weight": torch.rand((1, width, 1, 1), generator=generator)
        for i, width in enumerate(widths)
    }


@cache
def lpips_network() -> PerceptualDistance:
    return build_perceptual(alexnet(), heads())


def clip_encoder(seed: int = 0) -> FrozenCLIPVision:
    torch.manual_seed(seed)
    config = CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=32,
        patch_size=8,
        projection_dim=16,
    )
    return FrozenCLIPVision(CLIPVisionModelWithProjection(config))
