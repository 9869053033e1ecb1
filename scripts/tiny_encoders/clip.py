"""The tiny CLIP image encoder: who a picture shows, from which side, in which colours."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from jcdm.data.transforms import CLIP_MEAN, CLIP_STD
from tiny_encoders.drawing import NUM_TEST, NUM_VIEWS, SIZE
from tiny_encoders.fitting import batches, train
from tiny_encoders.vae import to_float

CLIP_SIZE = 64
NUM_REGIONS = 8
CLIP_CONFIG = {
    "hidden_size": 128,
    "intermediate_size": 384,
    "num_hidden_layers": 5,
    "num_attention_heads": 4,
    "image_size": CLIP_SIZE,
    "patch_size": 8,
    "projection_dim": 128,
    "hidden_act": "gelu",
}


def clip_input(images: np.ndarray) -> Tensor:
    """uint8 (N,H,W,3) -> CLIP-normalised (N,3,S,S): padded to a square, resized."""
    x = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(v)[None, :, None, None] for v in (CLIP_MEAN, CLIP_STD))
    side = (SIZE[0] - SIZE[1]) // 2
    x = F.pad((x - mean) / std, (side, side, 0, 0))
    if x.shape[-1] == CLIP_SIZE:
        return x
    return F.interpolate(x, (CLIP_SIZE, CLIP_SIZE), mode="bicubic", antialias=True)


class Heads(nn.Module):
    """What an embedding must tell: who it is, side shown, garment colours, a thumbnail."""

    def __init__(self) -> None:
        super().__init__()
        width = CLIP_CONFIG["projection_dim"]
        # On a CPU the backward pass of fused bf16 attention is slower than the plain one.
        self.vision = CLIPVisionModelWithProjection._from_config(
            CLIPVisionConfig(**CLIP_CONFIG), attn_implementation="eager"
        )
        self.yaw = nn.Linear(width, 2)
        self.colours = nn.Linear(width, NUM_REGIONS * 3)
        self.thumbnail = nn.Sequential(
            nn.Linear(width, 256), nn.GELU(), nn.Linear(256, 3 * 16 * 12)
        )
        self.identity = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 64))
        self.temperature = nn.Parameter(torch.tensor(2.3))


def region_colours(images: Tensor, regions: Tensor) -> tuple[Tensor, Tensor]:
    """Mean colour (N,R,3) of each region and whether it covers at least 8 pixels (N,R)."""
    one_hot = F.one_hot(regions.long().clamp(max=NUM_REGIONS - 1), NUM_REGIONS).float()
    count = one_hot.sum((1, 2))
    colours = torch.einsum("nchw,nhwr->nrc", images, one_hot) / count.clamp(min=1)[..., None]
    return colours, count >= 8


def train_clip(work: Path, num_steps: int) -> None:
    """Contrast people against people, and keep in the embedding what the view shows."""
    images = np.load(work / "images.npy", mmap_mode="r")[NUM_TEST:]
    regions = np.load(work / "regions.npy", mmap_mode="r")[NUM_TEST:]
    yaws = np.load(work / "yaws.npy")[NUM_TEST:]
    torch.manual_seed(0)
    model = Heads()
    stream = batches(len(images), 40, seed=0)
    views = np.random.default_rng(1)

    def loss_of(step: int) -> Tensor:
        rows = np.sort(next(stream))
        pair = views.permuted(np.tile(np.arange(NUM_VIEWS), (len(rows), 1)), axis=1)[:, :2]
        pick = (np.repeat(rows, 2), pair.reshape(-1))
        pictures = np.stack([images[i, j] for i, j in zip(*pick, strict=True)])
        labels = torch.from_numpy(np.stack([regions[i, j] for i, j in zip(*pick, strict=True)]))
        yaw = torch.from_numpy(yaws[pick])
        with torch.autocast("cpu", torch.bfloat16):
            embedding = model.vision(pixel_values=clip_input(pictures)).image_embeds
        embedding = embedding.float()
        who = F.normalize(model.identity(embedding), dim=-1)
        scores = who[0::2] @ who[1::2].T * model.temperature.exp().clamp(max=50)
        same = torch.arange(len(rows))
        contrast = (F.cross_entropy(scores, same) + F.cross_entropy(scores.T, same)) / 2
        truth = to_float(pictures)
        colours, shown = region_colours(truth, labels)
        guess = model.colours(embedding).view_as(colours)
        hue = ((guess - colours) ** 2).mean(-1)[shown].mean()
        small = F.interpolate(truth, (16, 12), mode="area")
        thumb = F.mse_loss(model.thumbnail(embedding).view_as(small), small)
        side = F.mse_loss(model.yaw(embedding), yaw)
        size = (embedding**2).mean()
        return contrast + 4 * hue + 4 * thumb + side + 0.01 * (size - 1) ** 2

    train("clip", model, loss_of, work, num_steps, rate=1e-3)


@torch.no_grad()
def check_clip(work: Path, images: np.ndarray) -> dict[str, float]:
    """Return how often the same person in another view is the nearest of all, and statistics."""
    model = Heads().eval()
    model.load_state_dict(load_file(work / "clip.safetensors"))
    embeds = torch.stack(
        [
            model.vision(pixel_values=clip_input(images[:, v])).image_embeds
            for v in range(NUM_VIEWS)
        ],
        1,
    )
    hits, pairs = 0, 0
    unit = F.normalize(embeds, dim=-1)
    for a in range(NUM_VIEWS):
        for b in range(NUM_VIEWS):
            if a != b:
                best = (unit[:, a] @ unit[:, b].T).argmax(1)
                hits += int((best == torch.arange(len(images))).sum())
                pairs += len(images)
    same = torch.einsum("nvd,nwd->nvw", unit, unit).mean()
    other = (unit[:, 0] @ unit[:, 0].T)[~torch.eye(len(images), dtype=torch.bool)].mean()
    return {
        "retrieval_top1_of_100": hits / pairs,
        "cosine_same_person": float(same),
        "cosine_other_person": float(other),
        "clip_mean": float(embeds.mean()),
        "clip_std": float(embeds.std()),
    }
