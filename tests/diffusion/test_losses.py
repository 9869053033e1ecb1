"""Losses against loops written the slow way."""

import pytest
import torch

from jcdm.diffusion.losses import denoiser_loss, min_snr_weight, prior_loss


def test_min_snr_weight_is_one_without_signal_and_falls_with_it():
    snr = torch.tensor([0.0, 1.0, 4.0, 99.0])
    torch.testing.assert_close(min_snr_weight(snr, 5.0), torch.tensor([1.0, 1.0, 1.0, 0.05]))
    noise_weight = min_snr_weight(torch.tensor([1.0, 10.0]), 5.0, "epsilon")
    torch.testing.assert_close(noise_weight, torch.tensor([1.0, 0.5]))


def test_denoiser_loss_equals_a_slow_loop():
    prediction, target = torch.randn(2, 3, 4, 4, 6)
    snr = torch.tensor([0.0, 9.0, 2.0])
    cell_weight = torch.rand(3, 1, 4, 6)
    found = denoiser_loss(prediction, target, snr, gamma=5.0, cell_weight=cell_weight)
    for b in range(3):
        total, weight = 0.0, 0.0
        for y in range(4):
            for x in range(6):
                w = cell_weight[b, 0, y, x].item()
                gap = (prediction[b, :, y, x] - target[b, :, y, x]).square().mean().item()
                total, weight = total + w * gap, weight + w
        expected = total / weight * min(snr[b].item() + 1, 5.0) / (snr[b].item() + 1)
        assert found[b].item() == pytest.approx(expected, rel=1e-5)


def test_equal_cell_weights_are_the_plain_mean():
    prediction, target = torch.randn(2, 2, 4, 4, 6)
    plain = denoiser_loss(prediction, target, torch.zeros(2), gamma=None)
    weighted = denoiser_loss(
        prediction, target, torch.zeros(2), gamma=5.0, cell_weight=torch.full((2, 1, 4, 6), 0.3)
    )
    torch.testing.assert_close(plain, weighted)
    torch.testing.assert_close(plain, (prediction - target).square().mean((1, 2, 3)))


def test_cells_of_weight_zero_do_not_count():
    target = torch.zeros(1, 4, 2, 4)
    prediction = target.clone()
    prediction[..., 2:] = 100
    weight = torch.tensor([1.0, 1.0, 0.0, 0.0]).expand(1, 1, 2, 4)
    assert denoiser_loss(prediction, target, torch.ones(1), gamma=5.0, cell_weight=weight) == 0


def test_prior_loss_leaves_out_views_that_do_not_exist():
    prediction, target = torch.randn(2, 2, 4, 8)
    present = torch.tensor([[True, True, False, True], [True, True, True, True]])
    found = prior_loss(prediction, target, present)
    gaps = (prediction - target).square().mean(-1)
    torch.testing.assert_close(found[0], gaps[0, [0, 1, 3]].mean())
    torch.testing.assert_close(found[1], gaps[1].mean())


def test_losses_of_half_precision_predictions_are_float32():
    prediction = torch.ones(1, 4, 2, 2, dtype=torch.bfloat16)
    loss = denoiser_loss(prediction, torch.zeros(1, 4, 2, 2), torch.zeros(1), gamma=5.0)
    assert loss.dtype == torch.float32
