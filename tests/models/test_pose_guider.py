import pytest
import torch
from denoiser_factory import randomise

from jcdm.errors import ConfigError
from jcdm.models.pose_guider import PoseGuider


def test_a_fresh_guider_says_nothing():
    features = PoseGuider(out_channels=8)(torch.rand(1, 3, 16, 24))
    assert features.shape == (1, 8, 2, 3)
    assert torch.equal(features, torch.zeros_like(features))


@pytest.mark.parametrize(("factor", "widths"), [(1, (4,)), (2, (4, 6)), (4, (4, 5, 6))])
def test_the_output_has_the_size_of_the_latents_and_tells_poses_apart(factor, widths):
    guider = PoseGuider(out_channels=8, block_out_channels=widths, factor=factor)
    randomise(guider)
    one, other = torch.rand(2, 1, 3, 16, 8)
    assert guider(one).shape == (1, 8, 16 // factor, 8 // factor)
    assert not torch.allclose(guider(one), guider(other))


def test_factor_8_has_the_published_layout():
    shapes = {key: tuple(value.shape) for key, value in PoseGuider().state_dict().items()}
    assert shapes["conv_in.weight"] == (16, 3, 3, 3)
    assert shapes["blocks.5.weight"] == (256, 96, 3, 3)
    assert shapes["conv_out.weight"] == (320, 256, 3, 3)
    assert sum(torch.Size(shape).numel() for shape in shapes.values()) == 1_086_480


def test_widths_must_fit_the_factor():
    with pytest.raises(ConfigError, match=r"unet\.pose_guider_channels has 2 widths.*needs 4"):
        PoseGuider(block_out_channels=(4, 6), factor=8)


@pytest.mark.parametrize("factor", [0, 6])
def test_the_factor_must_be_a_power_of_two(factor):
    with pytest.raises(ConfigError, match=f"factor of {factor}, expected a power of two"):
        PoseGuider(factor=factor)
