"""Other joint orders -> OpenPose-18, the order of this project: COCO-17, BODY-25, WholeBody-133."""

from collections.abc import Mapping

import numpy as np

from jcdm.errors import DataError

NECK = 1
_COCO = (0, None, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3)
_BODY_25 = (0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18)
_SHOULDERS = (2, 5)  # in OpenPose-18, right and left

ORDERS: Mapping[int, tuple[int | None, ...]] = {17: _COCO, 25: _BODY_25, 133: _COCO}
"""Number of joints of an order -> where each of our joints stands in it; None = made of others."""


def to_openpose_18(joints: np.ndarray) -> np.ndarray:
    """Bring joints (N,3), x, y and confidence, into OpenPose-18: (18,3). N tells the order.

    An order without a neck gets the middle of the shoulders, as surely seen as the less sure of
    them; unseen where either is. 133 are COCO-WholeBody's: body first, then feet, face, hands.
    Errors: DataError for another number of joints.
    """
    if joints.ndim != 2 or joints.shape[1] != 3 or (len(joints) not in (18, *ORDERS)):
        raise DataError(
            f"found joints of shape {joints.shape}; expected (N, 3) with N one of 18 (OpenPose), "
            f"{', '.join(map(str, ORDERS))}: x, y and confidence."
        )
    if len(joints) == 18:
        return joints
    places = ORDERS[len(joints)]
    found = np.stack([joints[0 if place is None else place] for place in places])
    if places[NECK] is None:
        right, left = found[list(_SHOULDERS)]
        found[NECK, :2] = (right[:2] + left[:2]) / 2
        found[NECK, 2] = min(right[2], left[2])
    return found
