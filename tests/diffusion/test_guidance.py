"""Guided combination and the draw of dropped conditions."""

import pytest
import torch

from jcdm.diffusion.guidance import draw_condition_drop, guide

KEYS = torch.arange(4000)


def test_guidance_is_affine_in_the_scale():
    conditional, unconditional = torch.randn(2, 3, 4)
    assert torch.equal(guide(conditional, unconditional, 0.0), unconditional)
    assert torch.equal(guide(conditional, unconditional, 1.0), conditional)
    expected = unconditional + 2.5 * (conditional - unconditional)
    torch.testing.assert_close(guide(conditional, unconditional, 2.5), expected)


def test_shares_of_dropped_conditions_are_as_asked():
    prior, pose = draw_condition_drop(KEYS, 0.1, 0.2, 0.05)
    both = (prior & pose).float().mean().item()
    assert both == pytest.approx(0.05, abs=0.02)
    assert prior.float().mean().item() == pytest.approx(0.15, abs=0.02)
    assert pose.float().mean().item() == pytest.approx(0.25, abs=0.02)


def test_nothing_is_dropped_at_zero_and_everything_at_one():
    assert not any(drop.any() for drop in draw_condition_drop(KEYS, 0, 0, 0))
    assert all(drop.all() for drop in draw_condition_drop(KEYS, 0, 0, 1))
    prior, pose = draw_condition_drop(KEYS, 1, 0, 0)
    assert prior.all() and not pose.any()


def test_a_sample_s_draw_does_not_depend_on_its_batch():
    prior, pose = draw_condition_drop(KEYS, 0.3, 0.3, 0.3)
    alone = draw_condition_drop(KEYS[7:8], 0.3, 0.3, 0.3)
    assert (prior[7], pose[7]) == (alone[0][0], alone[1][0])
