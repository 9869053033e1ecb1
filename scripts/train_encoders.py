"""Train the tiny frozen encoders and the reader on drawn people; write them to assets/tiny.

    python scripts/train_encoders.py draw  --work WORK [--num_identities 3000]
    python scripts/train_encoders.py vae   --work WORK
    python scripts/train_encoders.py clip  --work WORK
    python scripts/train_encoders.py reader --work WORK
    python scripts/train_encoders.py check --work WORK
    python scripts/train_encoders.py export --work WORK --out assets/tiny

The commands need this project's environment: `. scripts/env.sh`, then "$JCDM_PYTHON" for python.
Equal seeds and steps give equal weights on one kind of processor. `check` prints the figures of
the model card: PSNR and chroma of VAE reconstructions, retrieval of the same person by the image
encoder, the reader's errors.
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
from tiny_encoders.reader import check_reader, train_reader
from tiny_encoders.vae import VAE_CONFIG, centre_latents, check_vae, to_float, train_vae

from jcdm.data.synthetic import GENERATOR_VERSION
from jcdm.evidence.reader import PersonReader
from jcdm.host_memory import keep_freed_memory

NUM_STEPS = {"vae": 5000, "clip": 5000, "reader": 2000}


def check(work: Path) -> dict[str, float]:
    """Print and return the figures on the unseen people; write reconstructions.png."""
    images = np.load(work / "images.npy", mmap_mode="r")[:NUM_TEST]
    regions = np.load(work / "regions.npy", mmap_mode="r")[:NUM_TEST]
    figures: dict[str, float] = {}
    if (work / "vae.safetensors").exists():
        figures |= check_vae(work, images, regions)
    if (work / "clip.safetensors").exists():
        figures |= check_clip(work, images)
    if (work / "reader.safetensors").exists():
        figures |= check_reader(work, images, regions)
    print(json.dumps(figures, indent=1))
    (work / "figures.json").write_text(json.dumps(figures, indent=1))
    return figures


def export(work: Path, out: Path) -> None:
    """Write encoders and reader as fp16 folders for from_pretrained, scaling factor included."""
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
    reader = PersonReader()
    reader.load_state_dict(load_file(work / "reader.safetensors"))
    reader.half().save_pretrained(out / "reader")
    card = {"generator_version": GENERATOR_VERSION, "seed": SEED, **figures}
    (out / "encoders.json").write_text(json.dumps(card, indent=1) + "\n")


def main() -> None:
    """Read the step to run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("step", choices=["draw", "vae", "clip", "reader", "check", "export"])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--num_steps", type=int, help="default: as assets/tiny was trained")
    parser.add_argument("--num_identities", type=int, default=3000)
    parser.add_argument("--num_workers", type=int, default=1)
    parser.add_argument("--num_threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("assets/tiny"))
    options = parser.parse_args()
    torch.set_num_threads(options.num_threads)
    keep_freed_memory(torch.device("cpu"))
    options.work.mkdir(parents=True, exist_ok=True)
    if options.step == "draw":
        draw(options.work, options.num_identities, options.num_workers)
    elif options.step == "export":
        export(options.work, options.out)
    elif options.step == "check":
        check(options.work)
    else:
        train = {"vae": train_vae, "clip": train_clip, "reader": train_reader}[options.step]
        train(options.work, options.num_steps or NUM_STEPS[options.step])


if __name__ == "__main__":
    main()
