"""Train the two tiny frozen encoders on drawn people and write them to assets/tiny.

    python scripts/train_encoders.py draw  --work WORK [--num_identities 1500]
    python scripts/train_encoders.py vae   --work WORK --minutes 60
    python scripts/train_encoders.py clip  --work WORK --minutes 30
    python scripts/train_encoders.py check --work WORK
    python scripts/train_encoders.py export --work WORK --out assets/tiny

The commands need this project's environment: `. scripts/env.sh`, then "$JCDM_PYTHON" for python.
Training goes on from the weights it finds in WORK, for minutes, not steps: a second run gives other
weights of the same kind. `check` prints the figures of the model card: PSNR and chroma of VAE
reconstructions, retrieval of the same person by the image encoder.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from safetensors.torch import load_file
from tiny_encoders.clip import Heads, check_clip, train_clip
from tiny_encoders.drawing import NUM_TEST, SEED, SIZE, draw
from tiny_encoders.vae import VAE_CONFIG, centre_latents, check_vae, to_float, train_vae

from jcdm.data.synthetic import GENERATOR_VERSION


def check(work: Path) -> dict[str, float]:
    """Print and return the figures on the unseen people; write reconstructions.png."""
    images = np.load(work / "images.npy", mmap_mode="r")[:NUM_TEST]
    regions = np.load(work / "regions.npy", mmap_mode="r")[:NUM_TEST]
    figures: dict[str, float] = {}
    if (work / "vae.safetensors").exists():
        figures |= check_vae(work, images, regions)
    if (work / "clip.safetensors").exists():
        figures |= check_clip(work, images)
    print(json.dumps(figures, indent=1))
    (work / "figures.json").write_text(json.dumps(figures, indent=1))
    return figures


def export(work: Path, out: Path) -> None:
    """Write both encoders as fp16 folders for from_pretrained, scaling factor included."""
    figures = check(work)
    vae = AutoencoderKL(**VAE_CONFIG).eval()
    vae.load_state_dict(load_file(work / "vae.safetensors"))
    images = np.load(work / "images.npy", mmap_mode="r")
    std = centre_latents(
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
