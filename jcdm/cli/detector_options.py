"""Options that choose a pose detector, shared by every command that looks at photographs."""

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import ArgumentParser

from jcdm.errors import ConfigError

if TYPE_CHECKING:
    from jcdm.poses.choose import Choice, PoseFinder
    from jcdm.poses.detector import PoseDetector

DETECTORS = ("dwpose", "openpose")
PEOPLE = ("error", "largest", "surest")
_FILES = {
    "yolox": "dwpose: yolox_l.onnx, which finds people",
    "dwpose": "dwpose: dw-ll_ucoco_384.onnx, which finds their joints",
    "openpose": "openpose: body_pose_model.pth",
    "openpose_hand": "openpose: hand_pose_model.pth, if hands are wanted",
    "openpose_face": "openpose: facenet.pth, if faces are wanted",
}
_NAMES = ("detector", *_FILES, "min_confidence", "people")


def add_detector_options(parser: ArgumentParser) -> None:
    """Add --detector, its weight files, --min_confidence and --people."""
    add = parser.add_argument
    add("--detector", choices=DETECTORS, default=None, help="what finds joints in photographs")
    for name, purpose in _FILES.items():
        add(f"--{name}", type=Path | None, default=None, help=purpose)
    add("--min_confidence", type=float, default=0.3, help="joints less sure are not seen, 0..1")
    add("--people", choices=PEOPLE, default="error", help="whom to take where there are several")


def split_options(options: Namespace) -> tuple[Namespace, Namespace]:
    """Split a command's options into its own and those of `add_detector_options`."""
    given = vars(options)
    own = {name: value for name, value in given.items() if name not in _NAMES}
    return Namespace(**own), Namespace(**{name: given[name] for name in _NAMES})


def build_detector(options: Namespace) -> "PoseDetector | None":
    """Build the detector that the options name; None where they name none.

    Errors: ConfigError for a weight file that is not named, CheckpointError for one that is wrong.
    """
    if options.detector is None:
        _refuse_files(options)
        return None
    if options.detector == "dwpose":
        from jcdm.poses.dwpose import DWPose

        return DWPose(people=_needed(options, "yolox"), joints=_needed(options, "dwpose"))
    from jcdm.poses.openpose import OpenPose

    return OpenPose(
        body=_needed(options, "openpose"), hand=options.openpose_hand, face=options.openpose_face
    )


def build_choice(options: Namespace) -> "Choice":
    """Read whom to take and which joints count. Errors: ConfigError."""
    from jcdm.poses.choose import Choice

    return Choice(people=options.people, min_confidence=options.min_confidence)


def build_finder(options: Namespace) -> "PoseFinder | None":
    """Build what finds the joints of a photograph that has none; None without --detector."""
    from jcdm.poses.choose import person_finder

    detector, choice = build_detector(options), build_choice(options)
    return None if detector is None else person_finder(detector, choice)


def _needed(options: Namespace, name: str) -> Path:
    path = getattr(options, name)
    if path is None:
        raise ConfigError(
            f"--detector {options.detector} needs --{name} FILE; docs/poses.md says where its "
            "files come from."
        )
    return path


def _refuse_files(options: Namespace) -> None:
    for name in _FILES:
        if getattr(options, name) is not None:
            kind = _FILES[name].split(":")[0]
            raise ConfigError(f"--{name} is given, but no --detector; add --detector {kind}.")
