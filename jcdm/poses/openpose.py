"""OpenPose by the package controlnet-aux, with weights from local files."""

import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image

from jcdm.compat.checkpoint_files import read_checkpoint
from jcdm.data.keypoints import NUM_FACE_POINTS, NUM_HAND_JOINTS
from jcdm.errors import CheckpointError, DataError
from jcdm.poses.detector import DetectedPerson
from jcdm.poses.openpose_package import load_part
from jcdm.poses.weights import name_weights

SHORT_SIDE = 512  # pixels, as controlnet-aux asks for; the radii of its blurs are in pixels
LONGEST = 4  # times the shorter side: on strips the package fails, or fills the memory


class OpenPose:
    """Detector of bodies and, with their weights, hands and faces.

    Confidences are heights of the networks' maps; of a hand's joints the package tells only
    whether they were found: 1 or 0. Source: Cao et al., OpenPose (2019).
    """

    def __init__(self, *, body: Path, hand: Path | None = None, face: Path | None = None) -> None:
        """Load body_pose_model.pth, hand_pose_model.pth and facenet.pth, or their safetensors.

        Errors: CheckpointError for a file that is missing, damaged or another network; ConfigError
        where a package is not installed.
        """
        self._util = load_part("util")
        self._body = _build("body", body)
        self._hand = None if hand is None else _build("hand", hand)
        self._face = None if face is None else _build("face", face)
        given = [name_weights(path) for path in (body, hand, face) if path is not None]
        self.identity = f"OpenPose: {', '.join(given)}"

    @torch.no_grad()
    def detect(self, picture: Image.Image) -> tuple[DetectedPerson, ...]:
        """Find all people in an RGB picture; none is an empty tuple.

        Errors: DataError for a picture whose sides differ by more than LONGEST times.
        """
        if max(picture.size) > LONGEST * min(picture.size):
            raise DataError(
                f"found a picture of {picture.width} x {picture.height}, expected one side at most "
                f"{LONGEST} times the other. Cut it."
            )
        bgr = _resize(np.asarray(picture.convert("RGB"))[:, :, ::-1])
        bodies = self._body.format_body_result(*self._body(bgr))
        return tuple(self._person(body, bgr) for body in bodies)

    def _person(self, body: Any, bgr: np.ndarray) -> DetectedPerson:
        joints = np.array([(0, 0, 0) if j is None else (j.x, j.y, j.score) for j in body.keypoints])
        size = np.array(bgr.shape[1::-1])
        scaled = _scale(joints, size)
        seen = scaled[scaled[:, 2] > 0, :2]
        (left, top), (right, bottom) = seen.min(axis=0).tolist(), seen.max(axis=0).tolist()
        return DetectedPerson(
            body=scaled,
            box=(left, top, right, bottom),
            hands=None if self._hand is None else _scale(self._find_hands(body, bgr), size),
            face=None if self._face is None else _scale(self._find_face(body, bgr), size),
        )

    def _find_hands(self, body: Any, bgr: np.ndarray) -> np.ndarray:
        """Find both hands' joints in pixels: (2,21,3), left then right."""
        assert self._hand is not None
        hands = np.zeros((2, NUM_HAND_JOINTS, 3))
        for x, y, width, is_left in self._util.handDetect(body, bgr):
            peaks = self._hand(bgr[y : y + width, x : x + width])
            found = (peaks != 0).any(axis=1)  # the package's sign of a joint that it did not find
            joints = np.concatenate(
                [peaks + np.array([x, y]), np.ones((NUM_HAND_JOINTS, 1))], axis=1
            )
            hands[0 if is_left else 1] = joints * found[:, None]
        return hands

    def _find_face(self, body: Any, bgr: np.ndarray) -> np.ndarray:
        """Find the face's joints in pixels: (68,3). The package's own reading loses their order."""
        assert self._face is not None
        place = self._util.faceDetect(body, bgr)
        if place is None:
            return np.zeros((NUM_FACE_POINTS, 3))
        x, y, width = place
        maps = self._face(bgr[y : y + width, x : x + width])[:NUM_FACE_POINTS]
        rows, columns = np.divmod(maps.reshape(NUM_FACE_POINTS, -1).argmax(axis=1), maps.shape[2])
        return np.stack([columns + x, rows + y, maps.max(axis=(1, 2))], axis=1)


def _build(part: str, path: Path) -> Any:
    """Build a part of the package with the weights of a file.

    The package reads files with torch.load. It is given a copy in memory that this function has
    written from checked tensors, so that nothing in the file is ever run.
    """
    kind = getattr(load_part(part), part.capitalize())
    copy = io.BytesIO()
    torch.save(read_checkpoint(path), copy)
    copy.seek(0)
    try:
        built = kind(copy)
    except (KeyError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(
            f"{path} does not fit OpenPose's {part} network: {reason}. Check which file this is; "
            "docs/poses.md names the expected one."
        ) from None
    return built.to("cuda" if torch.cuda.is_available() else "cpu")


def _resize(bgr: np.ndarray) -> np.ndarray:
    """Bring the shorter side to SHORT_SIDE."""
    height, width = bgr.shape[:2]
    scale = SHORT_SIDE / min(height, width)
    size = round(width * scale), round(height * scale)
    how = cv2.INTER_LANCZOS4 if scale > 1 else cv2.INTER_AREA
    return cv2.resize(np.ascontiguousarray(bgr), size, interpolation=how)


def _scale(joints: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Scale joints (...,3) from pixels, whose centres have whole numbers, to [0,1] of `size`."""
    scaled = joints.astype(np.float64)
    seen = scaled[..., 2:].clip(0, 1)
    return np.concatenate([(scaled[..., :2] + 0.5) / size * (seen > 0), seen], axis=-1)
