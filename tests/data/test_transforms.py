"""Pictures and poses are cut and mirrored together, and can be put back."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from jcdm.data.transforms import (
    CLIP_MEAN,
    GeometricDraw,
    Placement,
    clip_pixels,
    fit_view,
    image_tensor,
    unit_tensor,
)
from jcdm.errors import ConfigError, DataError

SIZES = st.tuples(st.integers(8, 90), st.integers(8, 90))
SHARES = st.floats(0, 1, exclude_max=True)
DRAWS = st.builds(GeometricDraw, crop=st.tuples(SHARES, SHARES), flip=st.booleans())
RED = 200


def marked(size: tuple[int, int], y: int, x: int) -> Image.Image:
    """A black picture with one block of red, centred on a pixel."""
    pixels = np.zeros((*size, 3), np.uint8)
    pixels[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3, 0] = RED
    return Image.fromarray(pixels)


def middle(image: Image.Image) -> np.ndarray:
    """Centre (x, y) of the red in [0,1] of the picture."""
    red = np.array(image)[..., 0].astype(float)
    rows, cols = np.mgrid[: red.shape[0], : red.shape[1]] + 0.5
    return np.array([(red * cols).sum() / red.shape[1], (red * rows).sum() / red.shape[0]]) / (
        red.sum()
    )


@settings(max_examples=60, deadline=None)
@given(source=SIZES, cell=SIZES, fit=st.sampled_from(["crop", "letterbox", "stretch"]), draw=DRAWS)
def test_every_placement_fills_the_cell(source, cell, fit, draw):
    white = Image.new("RGB", source[::-1], "white")
    placed, placement = fit_view(white, cell, fit, draw)
    assert (placed.height, placed.width) == cell
    pixels = np.array(placed)
    if fit == "letterbox":
        assert all(r <= c for r, c in zip(placement.resized, cell, strict=True))
        share = placement.resized[0] * placement.resized[1] / (cell[0] * cell[1])
        assert (pixels == 255).mean() == pytest.approx(share)
    else:
        assert (pixels == 255).all()


@pytest.mark.parametrize("fit", ["crop", "letterbox", "stretch"])
@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("cell", [(64, 48), (48, 64)])
def test_keypoints_follow_the_picture(fit, flip, cell):
    source = (80, 70)
    draw = GeometricDraw(crop=(0.3, 0.8), flip=flip)
    placed, placement = fit_view(marked(source, 45, 30), cell, fit, draw)
    point, valid = np.full((18, 2), [30.5 / 70, 45.5 / 80]), np.ones(18, bool)
    moved, still_valid = placement.place_keypoints(point, valid)
    np.testing.assert_allclose(moved[0], middle(placed), atol=0.015)
    assert still_valid.all()
    back, _ = placement.unplace_keypoints(moved, still_valid)
    np.testing.assert_allclose(back, point, atol=1e-12)


def test_a_mirror_swaps_left_and_right_joints():
    placement = Placement.fit((40, 30), (40, 30), "crop", GeometricDraw(flip=True))
    keypoints = np.full((18, 2), 0.5)
    keypoints[2] = (0.2, 0.3)  # right shoulder
    valid = np.ones(18, bool)
    valid[4] = False  # right wrist
    moved, still = placement.place_keypoints(keypoints, valid)
    np.testing.assert_allclose(moved[5], (0.8, 0.3))  # left shoulder
    assert not still[7] and still[4]


def test_crop_at_the_centre_without_a_draw_and_at_both_ends_with_one():
    offsets = [
        Placement.fit((100, 40), (40, 40), "crop", draw).offset[0]
        for draw in (None, GeometricDraw(crop=(0.0, 0.0)), GeometricDraw(crop=(0.999, 0.0)))
    ]
    assert offsets == [-30, 0, -60]


@pytest.mark.parametrize("fit", ["letterbox", "stretch"])
@pytest.mark.parametrize("flip", [False, True])
def test_a_whole_picture_can_be_put_back(fit, flip):
    image = marked((60, 40), 20, 10)
    placed, placement = fit_view(image, (90, 90), fit, GeometricDraw(flip=flip))
    back = placement.unplace(placed)
    assert back.size == image.size
    assert np.abs(middle(back) - middle(image)).max() < 0.01


def test_what_was_cut_off_cannot_be_put_back():
    placed, placement = fit_view(marked((60, 40), 20, 10), (30, 40), "crop")
    with pytest.raises(DataError, match=r"has no inverse\. Set data.fit=letterbox"):
        placement.unplace(placed)


def test_a_picture_of_another_size_is_refused():
    placement = Placement.fit((60, 40), (30, 40), "crop")
    with pytest.raises(DataError, match="found a picture of 10 x 10 pixels, expected 60 x 40"):
        placement.place(Image.new("RGB", (10, 10)))


def test_ranges_of_tensors():
    image = Image.fromarray(np.array([[[0, 128, 255]]], np.uint8))
    torch.testing.assert_close(unit_tensor(image).flatten(), torch.tensor([0, 128 / 255, 1]))
    torch.testing.assert_close(image_tensor(image).flatten(), torch.tensor([-1, 256 / 255 - 1, 1]))


def test_clip_pad_shows_the_whole_person_and_crop_does_not():
    image = marked((96, 48), 4, 24)  # at the top of a tall picture
    pad, crop = (clip_pixels(image, 48, fit)[0] for fit in ("pad", "crop"))
    black = -CLIP_MEAN[0] / 0.26862954
    assert crop.max() == pytest.approx(black, abs=1e-5)
    assert pad.max() > 1
    assert pad[:, 0].abs().max() < 0.01, "the bars have the mean colour, zero after normalisation"


PHOTO = Image.fromarray(np.random.default_rng(3).integers(0, 256, (1101, 750, 3), np.uint8))


@pytest.mark.parametrize(
    ("frame", "cell"), [((256, 176), (256, 192)), ((512, 352), (512, 384)), ((128, 64), (128, 64))]
)
@pytest.mark.parametrize("flip", [False, True])
def test_a_frame_is_kept_to_the_pixel(
    frame: tuple[int, int], cell: tuple[int, int], flip: bool
) -> None:
    """What a protocol sizes every picture to stands between bars, and is given back as it was."""
    placed, placement = fit_view(PHOTO, cell, f"{frame[0]}x{frame[1]}", GeometricDraw(flip=flip))
    expected = PHOTO.resize(frame[::-1], Image.Resampling.BICUBIC)
    assert np.array_equal(np.asarray(placement.content(placed)), np.asarray(expected))
    bar = (cell[1] - frame[1]) // 2
    assert not np.asarray(placed)[:, :bar].any()
    point, valid = np.full((18, 2), [0.0, 1.0], np.float32), np.ones(18, bool)
    moved, _ = placement.place_keypoints(point, valid)
    assert moved[0] == pytest.approx((1 - bar / cell[1] if flip else bar / cell[1], 1.0))
    back, _ = placement.unplace_keypoints(moved, valid)
    assert back == pytest.approx(point)


@pytest.mark.parametrize("fit", ["squash", "256", "0x10", "256x", "-1x5", "256 x 176"])
def test_an_unknown_fit_is_named(fit: str) -> None:
    with pytest.raises(ConfigError, match=f"data.fit is '{fit}'"):
        fit_view(PHOTO, (256, 192), fit)


def test_a_frame_larger_than_the_view_is_refused() -> None:
    with pytest.raises(ConfigError, match="512x352 does not fit into a view of 256 x 192"):
        fit_view(PHOTO, (256, 192), "512x352")
