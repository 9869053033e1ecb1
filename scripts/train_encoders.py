"""Train the two tiny frozen encoders on drawn people and write them to assets/tiny.

    python scripts/train_encoders.py draw  --work WORK [--num_identities 1500]
    python scripts/train_encoders.py vae   --work WORK --minutes 60
    python scripts/train_encoders.py clip  --work WORK --minutes 30
    python scripts/train_encoders.py check --work WORK
    python scripts/train_encoders.py export --work WORK --out assets/tiny

Every step resumes from what it finds in WORK. `check` prints the figures of the model card:
PSNR and chroma of VAE reconstructions, retrieval of the same person by the image encoder.
"""

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from diffusers.training_utils import EMAModel
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from jcdm.data.synthetic import GENERATOR_VERSION, render_view
from jcdm.data.transforms import CLIP_MEAN, CLIP_STD

SIZE = (128, 96)
CLIP_SIZE = 64
CROP = 64  # the VAE is convolutional: three times the steps on pieces of the pictures
NUM_VIEWS = 8
NUM_TEST = 100
SEED = 20261
NUM_REGIONS = 8

VAE_CONFIG = {
    "in_channels": 3,
    "out_channels": 3,
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "block_out_channels": (32, 48, 64, 80),
    "layers_per_block": 1,
    "latent_channels": 16,
    "norm_num_groups": 8,
    "sample_size": 128,
    "mid_block_add_attention": False,
}
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


# --------------------------------------------------------------------------------- drawn people
def _draw_identity(identity: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All views of one person: images, region maps, (sin yaw, cos yaw)."""
    views = [
        render_view(seed=SEED, identity=identity, view=view, size=SIZE) for view in range(NUM_VIEWS)
    ]
    yaw = np.radians([view.yaw for view in views]).astype(np.float32)
    return (
        np.stack([view.image for view in views]),
        np.stack([view.regions for view in views]),
        np.stack([np.sin(yaw), np.cos(yaw)], axis=1),
    )


def draw(work: Path, num_identities: int, num_workers: int) -> None:
    """Render people 0..N-1 (the first NUM_TEST are the unseen ones) into three .npy files."""
    from multiprocessing import Pool

    images = np.lib.format.open_memmap(
        work / "images.npy", "w+", np.uint8, (num_identities, NUM_VIEWS, *SIZE, 3)
    )
    regions = np.lib.format.open_memmap(
        work / "regions.npy", "w+", np.uint8, (num_identities, NUM_VIEWS, *SIZE)
    )
    yaws = np.zeros((num_identities, NUM_VIEWS, 2), np.float32)
    start = time.time()
    with Pool(num_workers) as pool:
        for i, (image, region, yaw) in enumerate(
            pool.imap(_draw_identity, range(num_identities), chunksize=4)
        ):
            images[i], regions[i], yaws[i] = image, region, yaw
            if i % 100 == 99:
                print(f"{i + 1} people, {(i + 1) * NUM_VIEWS / (time.time() - start):.0f} images/s")
    np.save(work / "yaws.npy", yaws)


# ------------------------------------------------------------------------------------- training
def train(
    name: str,
    module: nn.Module,
    loss_of: Callable[[int], Tensor],
    work: Path,
    minutes: float,
    rate: float,
) -> None:
    """AdamW with warm-up and a cosine over the time given; EMA weights are what is kept."""
    ema = EMAModel(module.parameters(), decay=0.999, use_ema_warmup=True, power=0.75)
    optimizer = torch.optim.AdamW(
        module.parameters(), lr=rate, weight_decay=0.01, betas=(0.9, 0.98)
    )
    start, step = time.time(), 0
    while (spent := (time.time() - start) / (60 * minutes)) < 1:
        for group in optimizer.param_groups:
            group["lr"] = (
                rate * min(1, (step + 1) / 200) * max(0.02, 0.5 + 0.5 * math.cos(math.pi * spent))
            )
        loss = loss_of(step)
        loss.backward()
        nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        ema.step(module.parameters())
        step += 1
        if step % 100 == 0:
            print(
                f"{name} step {step} loss {loss.item():.4f} {100 * spent:.0f}% of the time",
                flush=True,
            )
        if step % 500 == 0:
            _save_ema(module, ema, work / f"{name}.safetensors")
    _save_ema(module, ema, work / f"{name}.safetensors")


def _save_ema(module: nn.Module, ema: EMAModel, path: Path) -> None:
    ema.store(module.parameters())
    ema.copy_to(module.parameters())
    save_file({k: v.contiguous().clone() for k, v in module.state_dict().items()}, path)
    ema.restore(module.parameters())


def _batches(num: int, size: int, seed: int) -> Iterator[np.ndarray]:
    generator = np.random.default_rng(seed)
    while True:
        yield generator.choice(num, size, replace=num < size)


def to_float(images: np.ndarray) -> Tensor:
    """uint8 (N,H,W,3) -> float32 (N,3,H,W) in [-1,1]."""
    return torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float() / 127.5 - 1


def chroma(images: Tensor) -> Tensor:
    """Cb and Cr of BT.601, (N,2,H,W), in [-1,1] for images in [-1,1]."""
    red, green, blue = images.unbind(1)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return torch.stack([0.564 * (blue - luma), 0.713 * (red - luma)], dim=1)


def train_vae(work: Path, minutes: float) -> None:
    """Squared and absolute error, with a chroma and an edge term, and a small KL."""
    images = np.load(work / "images.npy", mmap_mode="r")
    flat = images[NUM_TEST:].reshape(-1, *SIZE, 3)
    regions = np.load(work / "regions.npy", mmap_mode="r")[NUM_TEST:].reshape(-1, *SIZE)
    torch.manual_seed(0)
    vae = AutoencoderKL(**VAE_CONFIG).to(memory_format=torch.channels_last)
    if (work / "vae.safetensors").exists():
        vae.load_state_dict(load_file(work / "vae.safetensors"))
    stream = _batches(len(flat), 8, seed=int(time.time()))

    crops = np.random.default_rng(int(time.time()))

    def loss_of(step: int) -> Tensor:
        rows, corners = np.sort(next(stream)), crops.random((8, 2))
        tops = (corners[:, 0] * (SIZE[0] - CROP + 1)).astype(int)
        lefts = (corners[:, 1] * (SIZE[1] - CROP + 1)).astype(int)
        cuts = [
            (row, slice(top, top + CROP), slice(left, left + CROP))
            for row, top, left in zip(rows, tops, lefts, strict=True)
        ]
        truth = to_float(np.stack([flat[cut] for cut in cuts]))
        person = torch.from_numpy(np.stack([regions[cut] for cut in cuts]) > 0)[:, None]
        if step % 2:
            truth, person = truth.flip(-1), person.flip(-1)
        weight = 1 + 2 * person.float()
        with torch.autocast("cpu", torch.bfloat16):
            posterior = vae.encode(truth).latent_dist
            out = vae.decode(posterior.sample()).sample
        out = out.float()
        error = out - truth
        edges = sum((error.diff(dim=d) ** 2).mean() for d in (-1, -2))
        hue = (chroma(out) - chroma(truth)) ** 2 * weight
        kl = posterior.kl().mean() / truth[0].numel()
        pixel = (weight * (error**2 + 0.1 * error.abs())).mean()
        return 10 * pixel + 20 * hue.mean() + 5 * edges + 1e-4 * kl

    train("vae", vae, loss_of, work, minutes, rate=2e-3)


def clip_input(images: np.ndarray) -> Tensor:
    """uint8 (N,128,96,3) -> CLIP-normalised (N,3,S,S): padded to a square, resized."""
    x = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(v)[None, :, None, None] for v in (CLIP_MEAN, CLIP_STD))
    side = (SIZE[0] - SIZE[1]) // 2
    x = F.pad((x - mean) / std, (side, side, 0, 0))
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


def train_clip(work: Path, minutes: float) -> None:
    """Contrast people against people, and keep in the embedding what the view shows."""
    images = np.load(work / "images.npy", mmap_mode="r")[NUM_TEST:]
    regions = np.load(work / "regions.npy", mmap_mode="r")[NUM_TEST:]
    yaws = np.load(work / "yaws.npy")[NUM_TEST:]
    torch.manual_seed(0)
    model = Heads()
    if (work / "clip.safetensors").exists():
        model.load_state_dict(load_file(work / "clip.safetensors"))
    stream = _batches(len(images), 40, seed=int(time.time()))
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
        colours, shown = region_colours(truth[:, :, ::2, ::2], labels[:, ::2, ::2])
        guess = model.colours(embedding).view_as(colours)
        hue = ((guess - colours) ** 2).mean(-1)[shown].mean()
        small = F.interpolate(truth, (16, 12), mode="area")
        thumb = F.mse_loss(model.thumbnail(embedding).view_as(small), small)
        side = F.mse_loss(model.yaw(embedding), yaw)
        size = (embedding**2).mean()
        return contrast + 4 * hue + 4 * thumb + side + 0.01 * (size - 1) ** 2

    train("clip", model, loss_of, work, minutes, rate=1e-3)


# --------------------------------------------------------------------------------------- check
@torch.no_grad()
def check(work: Path) -> dict[str, float]:
    """Print and return the figures on the unseen people; write reconstructions.png."""
    images = np.load(work / "images.npy", mmap_mode="r")[:NUM_TEST]
    regions = np.load(work / "regions.npy", mmap_mode="r")[:NUM_TEST]
    figures: dict[str, float] = {}
    if (work / "vae.safetensors").exists():
        figures |= _check_vae(work, images, regions)
    if (work / "clip.safetensors").exists():
        figures |= _check_clip(work, images)
    print(json.dumps(figures, indent=1))
    (work / "figures.json").write_text(json.dumps(figures, indent=1))
    return figures


def _check_vae(work: Path, images: np.ndarray, regions: np.ndarray) -> dict[str, float]:
    vae = AutoencoderKL(**VAE_CONFIG).eval()
    vae.load_state_dict(load_file(work / "vae.safetensors"))
    truth = to_float(images[:, ::3].reshape(-1, *SIZE, 3))
    person = torch.from_numpy(regions[:, ::3].reshape(-1, *SIZE) > 0)
    out, latents = [], []
    for rows in truth.split(32):
        mean = vae.encode(rows).latent_dist.mode()
        latents.append(mean)
        out.append(vae.decode(mean).sample.clamp(-1, 1))
    made, latent = torch.cat(out), torch.cat(latents)
    psnr = 10 * torch.log10(4 / ((made - truth) ** 2).mean((1, 2, 3)))
    inside = person[:, None].float()
    count = inside.sum((1, 2, 3))
    hue_made, hue_truth = chroma(made), chroma(truth)
    hue_error = (((hue_made - hue_truth) ** 2) * inside).sum((1, 2, 3)) / (2 * count)
    rms = [
        float((((h**2) * inside).sum() / (2 * count.sum())).sqrt()) for h in (hue_made, hue_truth)
    ]
    body = (((made - truth) ** 2) * inside).sum((1, 2, 3)) / (3 * count)
    rows = [torch.cat([truth[i : i + 10], made[i : i + 10]]) for i in (0, 60, 120)]
    sheet = (
        torch.cat(rows).reshape(6, 10, 3, *SIZE).permute(0, 3, 1, 4, 2).reshape(6 * SIZE[0], -1, 3)
    )
    Image.fromarray(((sheet + 1) * 127.5).round().byte().numpy()).save(work / "reconstructions.png")
    return {
        "psnr": float(psnr.mean()),
        "psnr_silhouette": float((10 * torch.log10(4 / body)).mean()),
        "chroma_psnr_silhouette": float((10 * torch.log10(4 / hue_error)).mean()),
        "chroma_rms_share": rms[0] / rms[1],
        "latent_std": float(latent.std()),
        "latent_mean": float(latent.mean()),
    }


def _check_clip(work: Path, images: np.ndarray) -> dict[str, float]:
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


@torch.no_grad()
def _centre_latents(vae: AutoencoderKL, images: Tensor) -> float:
    """Move the mean of every latent channel into the weights, exactly; return the latents' std."""
    latents = torch.cat([vae.encode(rows).latent_dist.mean for rows in images.split(32)])
    mean = latents.mean((0, 2, 3))
    vae.quant_conv.bias[: len(mean)] -= mean
    vae.post_quant_conv.bias += vae.post_quant_conv.weight[:, :, 0, 0] @ mean
    return float((latents - mean[:, None, None]).std())


def export(work: Path, out: Path) -> None:
    """Write both encoders as fp16 folders for from_pretrained, scaling factor included."""
    figures = check(work)
    vae = AutoencoderKL(**VAE_CONFIG).eval()
    vae.load_state_dict(load_file(work / "vae.safetensors"))
    images = np.load(work / "images.npy", mmap_mode="r")
    std = _centre_latents(
        vae, to_float(images[NUM_TEST : NUM_TEST + 100, ::3].reshape(-1, *SIZE, 3))
    )
    vae.register_to_config(scaling_factor=round(1 / std, 5))
    vae.half().save_pretrained(out / "vae")
    heads = Heads()
    heads.load_state_dict(load_file(work / "clip.safetensors"))
    heads.vision.half().save_pretrained(out / "image_encoder")
    card = {"generator_version": GENERATOR_VERSION, "seed": SEED, **figures}
    (out / "encoders.json").write_text(json.dumps(card, indent=1) + "\n")


def main() -> None:
    """Read the step to run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("step", choices=["draw", "vae", "clip", "check", "export"])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--num_identities", type=int, default=1500)
    parser.add_argument("--num_workers", type=int, default=1)
    parser.add_argument("--num_threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("assets/tiny"))
    options = parser.parse_args()
    torch.set_num_threads(options.num_threads)
    options.work.mkdir(parents=True, exist_ok=True)
    if options.step == "draw":
        draw(options.work, options.num_identities, options.num_workers)
    elif options.step == "export":
        export(options.work, options.out)
    elif options.step == "check":
        check(options.work)
    else:
        {"vae": train_vae, "clip": train_clip}[options.step](options.work, options.minutes)


if __name__ == "__main__":
    main()
