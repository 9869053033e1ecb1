"""The motion modules' claim: sequences painted with and without them, from equal noise."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jcdm.data.pose_maps import draw_pose_map
from jcdm.evaluation.frames import FrameSequence, copy_nearest_frame, measure_frames
from jcdm.evaluation.score_sequence import COPY, paint_both
from jcdm.evidence.people import DrawnPeople
from jcdm.evidence.tally import Tally
from jcdm.pipelines.sampling import SamplingOptions
from jcdm.pipelines.sequence import JCDMSequencePipeline

NUM_PEOPLE = 16
REFERENCES = (0, 8)  # from opposite sides: the person turns once
WINDOWS_AT_ONCE = 8


def score_motion(
    pipeline: JCDMSequencePipeline, people: DrawnPeople, settings: Mapping[str, Any]
) -> dict[str, Tally]:
    """Paint the first people's sequences by every method and score them along time.

    Scores: flicker, change error and drift of `jcdm.evaluation.frames`; error = mean absolute
    difference from the truth, pixels in [0,1].
    """
    options = SamplingOptions.preset(settings["preset"], **_without_preset(settings))
    found: dict[str, Tally] = {}
    for person in range(min(NUM_PEOPLE, len(people.frames))):
        sequence = person_sequence(people, person)
        painted = paint_both(pipeline, sequence, options, person, at_once=WINDOWS_AT_ONCE)
        for method, frames in {**painted, COPY: copy_nearest_frame(sequence)}.items():
            found.setdefault(method, Tally()).add(person, _scores(frames, sequence))
    return found


def person_sequence(people: DrawnPeople, person: int) -> FrameSequence:
    """Make a person's turn a sequence with two frames given."""
    frames, seen = people.frames[person], people.frame_seen[person]
    joints = people.frame_keypoints[person]
    size = frames.shape[1:3]
    poses = [draw_pose_map(j, s, *size) for j, s in zip(joints, seen, strict=True)]
    return FrameSequence(
        name=f"person {person}",
        frames=frames,
        poses=np.stack(poses),
        keypoints=np.concatenate([joints, seen[..., None]], axis=-1),
        references=REFERENCES,
    )


def _scores(frames: np.ndarray, sequence: FrameSequence) -> dict[str, float]:
    scored = sequence.scored
    along = measure_frames(frames, sequence.frames, scored)
    error = np.abs(frames[scored] / 255.0 - sequence.frames[scored] / 255.0).mean()
    return {**{name: float(np.mean(v)) for name, v in along.items()}, "error": float(error)}


def _without_preset(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name != "preset"}
