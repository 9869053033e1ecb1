import copy

import pytest
import torch
from denoiser_factory import CHANNELS, TIMESTEPS, UNET
from diffusers import UNet2DConditionModel
from torch import nn

from jcdm.errors import ConfigError
from jcdm.models.unet import (
    PoseStem,
    build_unet,
    install_pose_stem,
    unet_config_dict,
)

INPUTS = 2 * CHANNELS + 1
TOKENS = torch.randn(2, 3, 12, generator=torch.Generator().manual_seed(0))


def plain_unet(in_channels=CHANNELS):
    torch.manual_seed(0)
    config = unet_config_dict(UNET, CHANNELS) | {"in_channels": in_channels}
    return UNet2DConditionModel(**config).eval()


def run(unet, sample):
    with torch.no_grad():
        return unet(sample, TIMESTEPS, TOKENS, return_dict=False)[0]


def test_the_stem_is_a_convolution_and_an_addition():
    torch.manual_seed(0)
    stem = PoseStem(5, 8, 3, padding=1)
    latents, pose = torch.randn(2, 5, 6, 4), torch.randn(2, 8, 6, 4)
    expected = nn.functional.conv2d(latents, stem.weight, stem.bias, padding=1) + pose
    assert torch.equal(stem(torch.cat([latents, pose], dim=1)), expected)


def test_the_stem_keeps_the_type_of_its_weights():
    stem = PoseStem(5, 8, 3, padding=1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert stem(torch.randn(1, 13, 4, 4)).dtype == torch.bfloat16


def test_a_zero_pose_leaves_the_plain_unet_as_it_was():
    unet = plain_unet(INPUTS)
    sample = torch.randn(2, INPUTS, 8, 8, generator=torch.Generator().manual_seed(1))
    before = run(unet, sample)
    install_pose_stem(unet)
    zeros = torch.zeros(2, 8, 8, 8)
    assert torch.equal(run(unet, torch.cat([sample, zeros], dim=1)), before)
    assert not torch.allclose(run(unet, torch.cat([sample, zeros + 1], dim=1)), before)


def test_installing_the_stem_keeps_keys_and_parameters_and_works_once():
    unet = plain_unet()
    keys, weight = list(unet.state_dict()), unet.conv_in.weight
    stem = install_pose_stem(unet).conv_in
    assert list(unet.state_dict()) == keys
    assert stem.weight is weight
    assert install_pose_stem(unet).conv_in is stem


def test_the_configuration_names_levels_from_the_outside_in():
    config = unet_config_dict(UNET, CHANNELS)
    assert config["down_block_types"] == ["CrossAttnDownBlock2D", "DownBlock2D"]
    assert config["up_block_types"] == ["UpBlock2D", "CrossAttnUpBlock2D"]
    unet = build_unet(config)
    assert isinstance(unet.conv_in, PoseStem)
    assert unet.conv_in.in_channels == INPUTS
    attention = unet.down_blocks[0].attentions[0].transformer_blocks[0].attn1
    assert attention.heads == UNET.num_heads


def test_a_wrong_configuration_is_one_error():
    with pytest.raises(ConfigError, match="num_wings"):
        build_unet(unet_config_dict(UNET, CHANNELS) | {"num_wings": 2})


def test_our_unet_can_be_saved_and_read_as_a_plain_one(tmp_path):
    unet = build_unet(unet_config_dict(UNET, CHANNELS)).eval()
    unet.save_pretrained(tmp_path)
    plain = UNet2DConditionModel.from_pretrained(tmp_path)
    sample = torch.randn(2, INPUTS, 8, 8)
    widened = torch.cat([sample, torch.zeros(2, 8, 8, 8)], dim=1)
    assert torch.equal(run(plain, sample), run(unet, widened))
    assert torch.equal(run(copy.deepcopy(unet), widened), run(unet, widened))
