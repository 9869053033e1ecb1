"""The frozen encoders: VAE and CLIP vision tower."""

from collections.abc import Iterator

import torch

from jcdm.compat.parity.comparison import FORWARD, Row, compare
from jcdm.compat.parity.fixtures import FixtureFolder
from jcdm.compat.parity.loading import load_clip, load_vae


@torch.no_grad()
def compare_vae(fixtures: FixtureFolder, name: str) -> Iterator[Row]:
    """Compare moments, a draw from them, and decoding, with and without our clamp to [-1,1]."""
    golden, vae = fixtures.tensors(name), load_vae(fixtures, name)
    moments = vae.encode(golden["in.pixels"])
    scaled = vae.sample_latents(moments, golden["in.sample_noise"])
    latents = golden["in.z"] * vae.scaling_factor
    yield compare(f"{name}/out.mean", moments.mean, golden["out.mean"], FORWARD)
    yield compare(f"{name}/out.logvar", 2 * moments.std.log(), golden["out.logvar"], FORWARD)
    yield compare(f"{name}/out.sample", scaled / vae.scaling_factor, golden["out.sample"], FORWARD)
    decoded = vae.model.decode(golden["in.z"]).sample
    yield compare(f"{name}/out.decoded", decoded, golden["out.decoded"], FORWARD)
    clamped = golden["out.decoded"].clamp(-1, 1)
    yield compare(f"{name}/out.decoded clamped", vae.decode(latents), clamped, FORWARD)


@torch.no_grad()
def compare_clip(fixtures: FixtureFolder, name: str) -> Iterator[Row]:
    """Compare embeddings, which are not normalised, of pictures and of zeros."""
    golden, clip = fixtures.tensors(name), load_clip(fixtures, name)
    pixels = golden["in.pixel_values"]
    found = {
        "out.image_embeds": clip.embed(pixels),
        "out.zero_image_embeds": clip.embed(torch.zeros_like(pixels[:1])),
    }
    for key, embeddings in found.items():
        yield compare(f"{name}/{key}", embeddings, golden[key], FORWARD)
