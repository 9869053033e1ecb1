"""The tiny VAE: reconstructs drawn people with their colours."""

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from tiny_encoders.drawing import NUM_TEST, SIZE
from tiny_encoders.fitting import batches, train

BATCH_SIZE = 16
VAE_CONFIG = {
    "in_channels": 3,
    "out_channels": 3,
    "down_block_types": ("DownEncoderBlock2D",) * 3,
    "up_block_types": ("UpDecoderBlock2D",) * 3,
    "block_out_channels": (32, 56, 88),
    "layers_per_block": 1,
    "latent_channels": 8,
    "norm_num_groups": 8,
    "sample_size": 64,
    "mid_block_add_attention": False,
}


def to_float(images: np.ndarray) -> Tensor:
    """uint8 (N,H,W,3) -> float32 (N,3,H,W) in [-1,1]."""
    return torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float() / 127.5 - 1


def chroma(images: Tensor) -> Tensor:
    """Cb and Cr of BT.601, (N,2,H,W), in [-1,1] for images in [-1,1]."""
    red, green, blue = images.unbind(1)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return torch.stack([0.564 * (blue - luma), 0.713 * (red - luma)], dim=1)


def train_vae(work: Path, num_steps: int) -> None:
    """Squared and absolute error, with a chroma and an edge term, and a small KL."""
    images = np.load(work / "images.npy", mmap_mode="r")
    flat = images[NUM_TEST:].reshape(-1, *SIZE, 3)
    regions = np.load(work / "regions.npy", mmap_mode="r")[NUM_TEST:].reshape(-1, *SIZE)
    torch.manual_seed(0)
    vae = AutoencoderKL(**VAE_CONFIG).to(memory_format=torch.channels_last)
    stream = batches(len(flat), BATCH_SIZE, seed=0)

    def loss_of(step: int) -> Tensor:
        rows = np.sort(next(stream))
        truth = to_float(flat[rows])
        person = torch.from_numpy(regions[rows] > 0)[:, None]
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

    train("vae", vae, loss_of, work, num_steps, rate=2e-3)


@torch.no_grad()
def check_vae(work: Path, images: np.ndarray, regions: np.ndarray) -> dict[str, float]:
    """Return PSNR of all pixels, of people, and of their chroma; write reconstructions.png."""
    vae = AutoencoderKL(**VAE_CONFIG).eval()
    vae.load_state_dict(load_file(work / "vae.safetensors"))
    truth = to_float(images[:, ::3].reshape(-1, *SIZE, 3))
    inside = torch.from_numpy(regions[:, ::3].reshape(-1, *SIZE) > 0)[:, None].float()
    latents = torch.cat([vae.encode(rows).latent_dist.mode() for rows in truth.split(32)])
    made = torch.cat([vae.decode(rows).sample.clamp(-1, 1) for rows in latents.split(32)])
    _write_sheet(truth, made, work / "reconstructions.png")
    hue_made, hue_truth = chroma(made), chroma(truth)
    energy = [float((hue.square() * inside).sum()) for hue in (hue_made, hue_truth)]
    return {
        "psnr": _psnr(made - truth, torch.ones_like(inside)),
        "psnr_silhouette": _psnr(made - truth, inside),
        "chroma_psnr_silhouette": _psnr(hue_made - hue_truth, inside),
        "chroma_rms_share": (energy[0] / energy[1]) ** 0.5,
        "latent_std": float(latents.std()),
        "latent_mean": float(latents.mean()),
    }


def _psnr(error: Tensor, inside: Tensor) -> float:
    """Mean over pictures of the PSNR in dB where `inside` (N,1,H,W) is 1, for a range of 2."""
    squared = (error.square() * inside).sum((1, 2, 3)) / (error.shape[1] * inside.sum((1, 2, 3)))
    return float((10 * torch.log10(4 / squared)).mean())


def _write_sheet(truth: Tensor, made: Tensor, file: Path) -> None:
    """Write ten true pictures, spread over all of them, above their reconstructions."""
    chosen = torch.linspace(0, len(truth) - 1, 10).long()
    lines = [torch.cat(list(pictures[chosen]), -1) for pictures in (truth, made)]
    sheet = torch.cat(lines, -2).permute(1, 2, 0)
    Image.fromarray(((sheet + 1) * 127.5).round().byte().numpy()).save(file)


@torch.no_grad()
def centre_latents(vae: AutoencoderKL, images: Tensor) -> float:
    """Move the mean of every latent channel into the weights, exactly; return the latents' std."""
    latents = torch.cat([vae.encode(rows).latent_dist.mean for rows in images.split(32)])
    mean = latents.mean((0, 2, 3))
    vae.quant_conv.bias[: len(mean)] -= mean
    vae.post_quant_conv.bias += vae.post_quant_conv.weight[:, :, 0, 0] @ mean
    return float((latents - mean[:, None, None]).std())
