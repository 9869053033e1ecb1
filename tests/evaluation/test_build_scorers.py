"""What is built follows from what is at hand; what is asked for and lacking is an error."""

import numpy as np
import pytest
from person_pairs import clip_encoder, drawn, lpips_network, pose, ranking

from jcdm.errors import CheckpointError, ConfigError
from jcdm.evaluation.person_scores.build_scorers import PERSON_SCORES, person_scorers
from jcdm.evaluation.protocols.protocol import PROTOCOLS
from jcdm.poses.detector import DetectedPerson

STRICT = PROTOCOLS["strict"]


class Finder:
    identity = "finder"

    def detect(self, picture):
        return (DetectedPerson(body=pose(drawn(0)), box=(0, 0, 1, 1)),)


def everything() -> dict:
    return {"perceptual": lpips_network(), "clip": clip_encoder(), "detector": Finder()}


def names_of(built) -> list[str]:
    return [name for scorer in built.scorers for name in scorer.names]


def test_with_everything_at_hand_every_score_is_computed() -> None:
    built = person_scorers(STRICT, has_poses=True, **everything())
    assert names_of(built) == list(PERSON_SCORES) and built.notes == ()
    pairs = ranking()
    for scorer in built.scorers:
        found = scorer.score(pairs)
        assert tuple(found) == scorer.names
        assert all(values.shape == (3,) for values in found.values())
        assert all(values.dtype == np.float64 for values in found.values())
        assert all(not np.isnan(values).any() for values in found.values())
    assert len({scorer.identity for scorer in built.scorers}) == len(built.scorers)


def test_what_is_lacking_is_left_out_with_a_note() -> None:
    built = person_scorers(STRICT, has_poses=True)
    assert "psnr_masked" in names_of(built) and "lpips_face" not in names_of(built)
    assert {*names_of(built)} | {note.split()[0] for note in built.notes} == {*PERSON_SCORES}
    assert "lpips_face left out: no AlexNet weights; name a local file of them." in built.notes
    posed = person_scorers(STRICT, has_poses=False, **everything())
    assert names_of(posed) == ["clip_i"] and len(posed.notes) == len(PERSON_SCORES) - 1
    assert all("no true poses" in note and "\n" not in note for note in posed.notes)
    assert person_scorers(STRICT, has_poses=False).scorers == ()


def test_only_the_scores_asked_for_are_computed() -> None:
    asked = ["oks", "ssim_garment"]
    built = person_scorers(STRICT, has_poses=True, detector=Finder(), names=asked)
    assert names_of(built) == ["ssim_garment", "oks"] and built.notes == ()
    pairs, whole = ranking(), person_scorers(STRICT, has_poses=True, **everything())
    values = {n: v for scorer in whole.scorers for n, v in scorer.score(pairs).items()}
    for scorer in built.scorers:
        for name, found in scorer.score(pairs).items():
            assert name in asked
            np.testing.assert_array_equal(found, values[name])
    identities = {scorer.identity for scorer in whole.scorers}
    assert {scorer.identity for scorer in built.scorers} <= identities
    assert person_scorers(STRICT, has_poses=True, names=[]).scorers == ()


def test_a_score_asked_for_that_cannot_be_computed_is_an_error() -> None:
    with pytest.raises(ConfigError, match="'beauty' is none of the person; expected some of ssim_"):
        person_scorers(STRICT, has_poses=True, names=["beauty"])
    with pytest.raises(ConfigError, match="psnr_masked was asked for: no true poses"):
        person_scorers(STRICT, has_poses=False, names=["psnr_masked"])
    for name, lack in [
        ("lpips_face", "AlexNet"),
        ("lpips_masked", "AlexNet"),
        ("clip_i", "CLIP image encoder"),
        ("pckh", "pose detector"),
    ]:
        with pytest.raises(CheckpointError, match=f"{name} was asked for: no {lack}"):
            person_scorers(STRICT, has_poses=True, names=[name])
