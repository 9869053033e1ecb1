"""Views of a task in the frame of the painted pictures."""

import numpy as np
from PIL import Image

from jcdm.data.images import load_image
from jcdm.data.transforms import Placement
from jcdm.pipelines.inputs import ViewFormat
from jcdm.records import ViewRecord


def place_view(view: ViewRecord, spec: ViewFormat) -> tuple[Image.Image, Placement]:
    """Read a photograph and choose how it stands in the model's view. Errors: DataError."""
    photo = load_image(view.image)
    cell = (spec.height, spec.width)
    return photo, Placement.fit((photo.height, photo.width), cell, spec.fit)


def take_frame(picture: Image.Image, placement: Placement) -> Image.Image:
    """Take a picture out of its bars; a cropped one has none."""
    return picture if _is_cut(placement) else placement.content(picture)


def joints_in_cell(view: ViewRecord, placement: Placement) -> np.ndarray:
    """Joints where the photograph stands in the view: (K,3), x and y in [0,1], and seen."""
    points, valid = placement.place_keypoints(view.keypoints, view.keypoint_valid)
    return np.concatenate([np.where(valid[:, None], points, 0), valid[:, None]], axis=1)


def joints_in_frame(view: ViewRecord, placement: Placement) -> np.ndarray:
    """Joints of the picture without its bars, which shows the whole photograph, or the cut one."""
    if _is_cut(placement):
        return joints_in_cell(view, placement)
    seen = view.keypoint_valid[:, None]
    return np.concatenate([np.where(seen, view.keypoints, 0), seen], axis=1)


def _is_cut(placement: Placement) -> bool:
    return any(r > c for r, c in zip(placement.resized, placement.cell, strict=True))
