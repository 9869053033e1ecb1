"""scripts/train_encoders.py from drawing to a folder that pipelines and the evidence can load."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from transformers import CLIPVisionModelWithProjection

from jcdm.evidence.reader import load_reader

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two steps of each network on three people, one of them unseen."""
    work = tmp_path_factory.mktemp("encoders")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SCRIPTS))
        import train_encoders
        from tiny_encoders import clip, drawing, reader, vae

        for module in (train_encoders, clip, drawing, reader, vae):
            patch.setattr(module, "NUM_TEST", 1, raising=False)
        for step in ("draw", "vae", "clip", "reader", "check", "export"):
            words = [step, "--work", str(work), "--num_identities", "3", "--num_steps", "2"]
            patch.setattr(sys, "argv", ["train_encoders.py", *words, "--out", str(work / "out")])
            train_encoders.main()
    return work


def test_every_part_loads_and_has_its_size(exported: Path) -> None:
    out = exported / "out"
    vae = AutoencoderKL.from_pretrained(out / "vae")
    clip = CLIPVisionModelWithProjection.from_pretrained(out / "image_encoder")
    reader = load_reader(out / "reader")
    pictures = torch.zeros(1, 3, 64, 48)
    with torch.no_grad():
        latents = vae.float().encode(pictures).latent_dist.mode()
        assert latents.shape[1:] == (8, 16, 12)
        assert clip.float()(torch.zeros(1, 3, 64, 64)).image_embeds.shape == (1, 128)
    assert reader.read(pictures)[0].shape == (1, 64, 48)
    for name, megabytes in (("vae", 3.0), ("image_encoder", 3.0), ("reader", 1.0)):
        size = sum(file.stat().st_size for file in (out / name).glob("*.safetensors"))
        assert size < megabytes * 1e6, name


def test_latents_have_unit_scale_and_figures_are_written(exported: Path) -> None:
    card = json.loads((exported / "out" / "encoders.json").read_text(encoding="utf-8"))
    expected = {"psnr", "retrieval_top1_of_100", "reader_overlap", "seed", "generator_version"}
    assert expected <= set(card)
    factor = json.loads((exported / "out" / "vae" / "config.json").read_text())["scaling_factor"]
    images = np.load(exported / "images.npy")[1:, ::3].reshape(-1, 64, 48, 3)
    vae = AutoencoderKL.from_pretrained(exported / "out" / "vae").float()
    pictures = torch.from_numpy(images).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.no_grad():
        latents = vae.encode(pictures).latent_dist.mean * factor
    assert float(latents.std()) == pytest.approx(1, abs=0.05)
    assert float(latents.mean()) == pytest.approx(0, abs=0.05)
