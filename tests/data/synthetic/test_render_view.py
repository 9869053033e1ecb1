"""A drawn view is reproducible, its joints are true and its sides differ."""

import numpy as np
import pytest

from jcdm.data.synthetic import DrawnView, Region, contact_sheet, render_view
from jcdm.errors import ConfigError

SIZE = (96, 72)
NOSE, NECK = 0, 1
CLOTH = (Region.TOP, Region.BOTTOM, Region.DRESS)


def _view(identity: int, view: int, seed: int = 0, size: tuple[int, int] = SIZE) -> DrawnView:
    return render_view(seed=seed, identity=identity, view=view, size=size)


def test_same_arguments_give_same_pixels_in_any_order() -> None:
    keys = [(i, v) for i in range(3) for v in range(4)]
    forward = {key: _view(*key) for key in keys}
    backward = {key: _view(*key) for key in reversed(keys)}
    for key in keys:
        np.testing.assert_array_equal(forward[key].image, backward[key].image)
        np.testing.assert_array_equal(forward[key].keypoints, backward[key].keypoints)


def test_seed_identity_and_view_all_matter() -> None:
    image = _view(0, 0).image
    for other in (_view(0, 0, seed=1), _view(1, 0), _view(0, 1)):
        assert not np.array_equal(image, other.image)


def test_shapes_and_types() -> None:
    view = _view(2, 3)
    assert view.image.shape == (*SIZE, 3) and view.image.dtype == np.uint8
    assert view.keypoints.shape == (18, 2) and view.keypoints.dtype == np.float32
    assert view.keypoint_valid.shape == (18,) and view.keypoint_valid.dtype == np.bool_
    assert view.regions.shape == SIZE and view.regions.dtype == np.uint8
    assert set(np.unique(view.regions)) <= set(Region)


def test_visible_joints_lie_on_the_person_and_in_the_frame() -> None:
    on_person, total = 0, 0
    for identity in range(6):
        for number in range(8):
            view = _view(identity, number)
            points = view.keypoints[view.keypoint_valid]
            assert (points >= 0).all() and (points < 1).all()
            column, row = np.floor(points * [SIZE[1], SIZE[0]]).astype(int).T
            on_person += int((view.regions[row, column] != Region.BACKGROUND).sum())
            total += len(points)
    assert total > 6 * 8 * 9
    assert on_person / total > 0.97


def test_face_is_hidden_from_behind_and_seen_from_the_front() -> None:
    for identity in range(8):
        for number in range(8):
            view = _view(identity, number)
            if abs(view.yaw) > 150:
                assert not view.keypoint_valid[[0, 14, 15]].any()
    seen = [_view(i, 0).keypoint_valid[NOSE] for i in range(12)]
    assert np.mean(seen) > 0.8


def test_right_is_on_the_left_of_a_front_picture_and_changes_sides_at_the_back() -> None:
    for identity in range(6):
        front, back = _view(identity, 0), _view(identity, 1)
        assert front.side == "front" and back.side == "back"
        assert front.keypoints[2, 0] < front.keypoints[5, 0]
        assert back.keypoints[2, 0] > back.keypoints[5, 0]


def test_far_shoulder_is_hidden_in_most_side_views() -> None:
    views = [_view(i, v) for i in range(10) for v in (2, 3)]
    both = [v.keypoint_valid[2] and v.keypoint_valid[5] for v in views if 75 < abs(v.yaw) < 105]
    assert len(both) > 5 and np.mean(both) < 0.35


def test_eight_views_go_around_the_person() -> None:
    for identity in range(4):
        views = [_view(identity, v) for v in range(8)]
        assert {view.side for view in views} == {"front", "back", "side"}
        yaws = np.sort([view.yaw for view in views])
        assert np.diff([*yaws, yaws[0] + 360.0]).max() < 90.0
        assert all(-180.0 <= yaw < 180.0 for yaw in yaws)


def test_a_full_person_stays_inside_and_fills_the_frame() -> None:
    framings = []
    for identity in range(6):
        for number in range(8):
            view = _view(identity, number)
            framings.append(view.framing)
            person = view.regions != Region.BACKGROUND
            rows, columns = np.flatnonzero(person.any(1)), np.flatnonzero(person.any(0))
            if view.framing == "full":
                assert not (person[0].any() or person[-1].any())
                tall = (rows[-1] - rows[0] + 1) / SIZE[0]
                wide = (columns[-1] - columns[0] + 1) / SIZE[1]
                assert tall > 0.8 or wide > 0.8
            else:
                assert person[-1].any()
    assert 0.6 < np.mean([framing == "full" for framing in framings]) < 0.9


def test_front_and_back_of_a_garment_differ() -> None:
    differing = 0
    for identity in range(8):
        colors = []
        for view in (_view(identity, 0), _view(identity, 1)):
            cloth = np.isin(view.regions, [Region.TOP, Region.DRESS])
            coarse = (view.image[cloth] // 64).astype(int) @ [16, 4, 1]
            colors.append(np.bincount(coarse, minlength=64) / max(cloth.sum(), 1))
        differing += np.abs(colors[0] - colors[1]).sum() > 0.25
    assert differing >= 7


def test_clothes_are_colourful() -> None:
    saturation = []
    for identity in range(12):
        view = _view(identity, 0)
        cloth = view.image[np.isin(view.regions, CLOTH)].astype(float)
        saturation.append((cloth.max(1) - cloth.min(1)).mean() / 255.0)
    assert np.mean(saturation) > 0.3


def test_outlines_are_antialiased() -> None:
    view = _view(0, 4, size=(128, 96))
    # Along the outline, mixed pixels stand between wall and person: more colours than either side.
    person = view.regions != Region.BACKGROUND
    outline = person[:, 1:] != person[:, :-1]
    step = np.abs(np.diff(view.image.astype(int), axis=1)).max(-1)
    near = step[outline]
    assert near.std() > 10 and (near < 0.6 * near.max()).mean() > 0.2


@pytest.mark.parametrize("size", [(64, 48), (128, 96), (100, 100), (256, 176), (48, 96)])
def test_any_size_shows_the_same_scene(size: tuple[int, int]) -> None:
    view = _view(1, 0, size=size)
    assert view.image.shape == (*size, 3)
    assert (view.regions != Region.BACKGROUND).mean() > 0.03
    assert view.yaw == _view(1, 0).yaw


@pytest.mark.parametrize("wrong", [{"seed": -1}, {"identity": -1}, {"view": -2}, {"size": (8, 96)}])
def test_wrong_numbers_are_refused(wrong: dict) -> None:
    with pytest.raises(ConfigError, match=r"-1|-2|too small"):
        render_view(**({"seed": 0, "identity": 0, "view": 0, "size": SIZE} | wrong))


def test_a_contact_sheet_shows_people_in_rows_and_views_in_columns() -> None:
    sheet = np.asarray(contact_sheet(seed=0, identities=[0, 3], num_views=3, size=(64, 48)))
    assert sheet.shape == (2 * 64, 3 * 48, 3)
    for row, identity in enumerate((0, 3)):
        for column in range(3):
            cell = sheet[row * 64 : (row + 1) * 64, column * 48 : (column + 1) * 48]
            view = render_view(seed=0, identity=identity, view=column, size=(64, 48))
            assert np.array_equal(cell, view.image)
