"""The frozen encoders: frozen, scaled by their own config, checked before loading."""

from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL
from torch import Tensor
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from jcdm.errors import CheckpointError, DataError
from jcdm.models.encoders import FrozenCLIPVision, FrozenVAE
from jcdm.records import LatentMoments


def build_vae(**changes: object) -> AutoencoderKL:
    torch.manual_seed(0)
    settings: dict = dict(
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(4, 8),
        layers_per_block=1,
        latent_channels=6,
        norm_num_groups=2,
        scaling_factor=0.5,
    )
    return AutoencoderKL(**(settings | changes))


def build_clip() -> CLIPVisionModelWithProjection:
    torch.manual_seed(0)
    settings = dict(hidden_size=16, intermediate_size=16, num_hidden_layers=1, image_size=28)
    return CLIPVisionModelWithProjection(
        CLIPVisionConfig(**settings, projection_dim=10, num_attention_heads=2, patch_size=14)
    )


def pictures() -> Tensor:
    return torch.rand(2, 3, 8, 12, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_numbers_come_from_the_vae() -> None:
    vae = FrozenVAE(build_vae())
    assert (vae.factor, vae.latent_channels, vae.scaling_factor) == (2, 6, 0.5)
    moments = vae.encode(pictures())
    assert moments.mean.shape == moments.std.shape == (2, 6, 4, 6)
    assert (moments.std > 0).all()
    assert vae.decode(vae.mean_latents(moments)).shape == (2, 3, 8, 12)


def test_sampling_scales_mean_plus_std_times_noise() -> None:
    vae = FrozenVAE(build_vae())
    moments = LatentMoments(mean=torch.full((1, 6, 2, 2), 3.0), std=torch.full((1, 6, 2, 2), 2.0))
    noise = torch.randn(1, 6, 2, 2, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(vae.sample_latents(moments, noise), (3 + 2 * noise) * 0.5)
    assert torch.allclose(vae.mean_latents(moments), torch.full((1, 6, 2, 2), 1.5))
    with pytest.raises(DataError, match=r"noise has shape \(2, 6, 2, 2\)"):
        vae.sample_latents(moments, noise.repeat(2, 1, 1, 1))


def test_decoding_undoes_scale_and_shift() -> None:
    plain, moved = FrozenVAE(build_vae(scaling_factor=1.0)), FrozenVAE(build_vae(shift_factor=0.3))
    moments = plain.encode(pictures())
    latents = moved.mean_latents(moments)
    assert torch.allclose(latents, (moments.mean - 0.3) * 0.5)
    assert torch.allclose(moved.decode(latents), plain.decode(moments.mean), atol=1e-5)


def test_decoded_pictures_stay_in_range() -> None:
    vae = FrozenVAE(build_vae())
    torch.nn.init.normal_(vae.model.decoder.conv_out.weight, std=20.0)
    decoded = vae.decode(torch.randn(1, 6, 4, 4))
    assert decoded.min() == -1 and decoded.max() == 1


def test_black_latents_are_encoded_once_a_size() -> None:
    vae = FrozenVAE(build_vae())
    calls: list[int] = []
    vae.model.encoder.register_forward_hook(lambda *_: calls.append(1))
    first = vae.black_latents(8, 12)
    expected = vae.mean_latents(vae.encode(torch.full((1, 3, 8, 12), -1.0)))[0]
    assert torch.equal(first, expected) and torch.equal(vae.black_latents(8, 12), first)
    assert len(calls) == 2
    assert vae.black_latents(4, 4).shape == (6, 2, 2) and len(calls) == 3


def test_odd_pictures_are_refused() -> None:
    with pytest.raises(DataError, match=r"9 x 12 pixels.*multiples of 2"):
        FrozenVAE(build_vae()).encode(torch.zeros(1, 3, 9, 12))


def test_embeddings_and_constants() -> None:
    clip = FrozenCLIPVision(build_clip())
    assert (clip.width, clip.image_size) == (10, 28)
    calls: list[int] = []
    clip.model.register_forward_hook(lambda *_: calls.append(1))
    black, white = clip.black_embedding(), clip.white_embedding()
    assert torch.equal(clip.black_embedding(), black) and len(calls) == 2
    assert black.shape == (10,) and not torch.allclose(black, white)
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073])
    std = torch.tensor([0.26862954, 0.26130258, 0.27577711])
    pixels = (-mean / std).view(1, 3, 1, 1).expand(1, 3, 28, 28)
    assert torch.allclose(clip.embed(pixels)[0], black, atol=1e-6)
    with pytest.raises(DataError, match=r"expected \(N, 3, 28, 28\)"):
        clip.embed(torch.zeros(1, 3, 14, 14))


def test_encoders_are_frozen() -> None:
    images = pictures().requires_grad_()
    for encoder in (FrozenVAE(build_vae()).train(), FrozenCLIPVision(build_clip()).train()):
        assert not any(module.training for module in encoder.modules())
        assert not any(parameter.requires_grad for parameter in encoder.parameters())
    assert not FrozenVAE(build_vae()).encode(images).mean.requires_grad


def test_half_precision_encoders_return_float32() -> None:
    vae = FrozenVAE(build_vae(), torch.bfloat16)
    clip = FrozenCLIPVision(build_clip(), torch.bfloat16)
    moments = vae.encode(pictures())
    assert next(vae.parameters()).dtype == torch.bfloat16
    assert moments.mean.dtype == vae.decode(vae.mean_latents(moments)).dtype == torch.float32
    assert clip.embed(torch.zeros(1, 3, 28, 28)).dtype == torch.float32


def test_folders_load_what_was_saved(tmp_path: Path) -> None:
    vae, clip = build_vae(), build_clip()
    vae.save_pretrained(tmp_path / "vae")
    clip.save_pretrained(tmp_path / "clip")
    loaded = FrozenVAE.from_folder(tmp_path / "vae")
    assert torch.equal(loaded.encode(pictures()).mean, FrozenVAE(vae).encode(pictures()).mean)
    pixels = torch.randn(1, 3, 28, 28, generator=torch.Generator().manual_seed(0))
    eyes = FrozenCLIPVision.from_folder(str(tmp_path / "clip"))
    assert torch.equal(eyes.embed(pixels), FrozenCLIPVision(clip).embed(pixels))
    for encoder, name in ((FrozenVAE, "vae"), (FrozenCLIPVision, "clip")):
        half = encoder.from_folder(tmp_path / name, torch.bfloat16)
        assert {parameter.dtype for parameter in half.parameters()} == {torch.bfloat16}


@pytest.mark.parametrize(
    ("encoder", "key"),
    [(FrozenVAE, "encoders.vae"), (FrozenCLIPVision, "encoders.image_encoder")],
)
def test_incomplete_folders_are_named(encoder: type, key: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(CheckpointError, match=rf"{key}: .*config\.json.*safetensors"):
        encoder.from_folder(tmp_path)
    with pytest.raises(CheckpointError, match="missing is not a complete"):
        encoder.from_folder(tmp_path / "missing")


def test_only_the_hub_prefix_reaches_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict = {}

    def fake(**arguments: object) -> tuple[AutoencoderKL, dict]:
        asked.update(arguments)
        kinds = ("missing_keys", "mismatched_keys", "unexpected_keys")
        return build_vae(), {kind: [] for kind in kinds}

    monkeypatch.setattr(AutoencoderKL, "from_pretrained", fake)
    FrozenVAE.from_folder(Path("hub:someone/model/vae"))
    expected = {"pretrained_model_name_or_path": "someone/model", "subfolder": "vae"}
    strictly = {"use_safetensors": True, "output_loading_info": True}
    assert asked == expected | strictly | {"dtype": torch.float32}
