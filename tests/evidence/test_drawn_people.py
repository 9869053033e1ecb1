"""The benchmark's people are data: the same pixels at every call, and truths that fit them."""

from pathlib import Path

import numpy as np
import pytest

from jcdm.data.synthetic import Region, render_view
from jcdm.evidence import people as people_module
from jcdm.evidence.people import NUM_FRAMES, NUM_VIEWS, DrawnPeople, draw_people


def test_what_is_known_of_every_view(people: DrawnPeople) -> None:
    shape = (2, NUM_VIEWS, 64, 48)
    assert people.images.shape == people.strangers.shape == (*shape, 3)
    assert people.regions.shape == people.prints.shape == shape
    assert people.frames.shape == (2, NUM_FRAMES, 64, 48, 3)
    view = render_view(seed=3, identity=1, view=5, size=(64, 48))
    assert np.array_equal(people.images[1, 5], view.image)
    assert np.array_equal(people.regions[1, 5], view.regions)
    assert np.array_equal(people.keypoints[1, 5], view.keypoints)


def test_strangers_take_the_pose_and_bring_their_own_clothes(people: DrawnPeople) -> None:
    gaps = np.abs(people.images.astype(int) - people.strangers)
    corner = (slice(None), slice(None), slice(0, 4), slice(0, 4))
    assert gaps[corner].mean() < 2 and gaps[people.regions > 0].mean() > 25
    own = render_view(seed=3, identity=0, view=0, size=(64, 48), model=0)
    assert np.array_equal(own.image, people.images[0, 0])


def test_prints_lie_on_the_upper_garment(people: DrawnPeople) -> None:
    on = people.regions[people.prints]
    assert people.prints.any(axis=(2, 3)).mean() > 0.5
    assert np.isin(on, (Region.TOP, Region.DRESS)).mean() > 0.95


def test_an_earlier_drawing_is_read_again(
    people: DrawnPeople, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = draw_people(3, 2, (64, 48), folder=tmp_path)
    assert first.pixel_hash() == people.pixel_hash()
    monkeypatch.setattr(people_module, "_draw_person", None)
    again = draw_people(3, 2, (64, 48), folder=tmp_path)
    assert again.pixel_hash() == first.pixel_hash()
    assert len(list(tmp_path.iterdir())) == 1
