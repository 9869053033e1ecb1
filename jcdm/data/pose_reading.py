"""Read a pose map back: joints from the picture that somebody else has drawn of them.

The appearance prior reads joints, a user may only have the drawing. Every joint of the standard
drawing is a disc of its own colour, on limbs of dimmed colours.
"""

import numpy as np
from PIL import Image
from scipy import ndimage

from jcdm.data.pose_maps import COLOURS, LIMBS
from jcdm.errors import DataError
from jcdm.records import NUM_KEYPOINTS

DIM = 0.6  # of a limb's colour
TOLERANCE = 30  # levels by which a colour may differ, as after JPEG
SMALLEST_DISC = 3  # pixels
MOST_SPOTS = 48  # of a joint's colour: two hands have 42 discs
FEWEST_JOINTS = 4
NUM_SAMPLES, SMALLEST_DRAWN_SHARE = 32, 0.3  # along a limb, which other limbs may cross
DARKEST, SMALLEST_DARK_SHARE = 40, 0.6


def is_pose_map(picture: Image.Image) -> bool:
    """Tell a pose map from a photograph: mostly black, with joints in the standard colours."""
    pixels = np.asarray(picture.convert("RGB"))
    dark = (pixels.max(axis=-1) < DARKEST).mean()
    return bool(dark > SMALLEST_DARK_SHARE and _find_joints(pixels)[1].sum() >= FEWEST_JOINTS)


def read_pose_map(picture: Image.Image, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Find the joints of a pose map: keypoints (K,2) in [0,1] of the picture, valid (K,) bool.

    A joint that another one hides is not valid. Errors: DataError where fewer than FEWEST_JOINTS
    are found, calling the picture `name`.
    """
    keypoints, valid = _find_joints(np.asarray(picture.convert("RGB")))
    if valid.sum() < FEWEST_JOINTS:
        raise DataError(
            f"{name}: found {int(valid.sum())} joints in this pose map, expected {FEWEST_JOINTS} "
            "or more discs in the OpenPose colours on black. Pass keypoints as JSON instead."
        )
    return keypoints, valid


def _find_joints(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find every joint: keypoints (K,2) in [0,1], valid (K,).

    Discs of hands have the colours of joints too. Of all spots of a joint's colour, the one with
    the best drawn limbs is taken; none where no limb of it is drawn.
    """
    values = pixels.astype(np.int16)
    spots = [_find_spots(values, joint) for joint in range(NUM_KEYPOINTS)]
    scores = [np.zeros(len(found)) for found in spots]
    drawn = [np.zeros(len(found)) for found in spots]
    for limb, ends in enumerate(LIMBS):
        shares = _drawn_shares(values, limb, *(spots[end] for end in ends))
        for axis, end in enumerate(ends):
            if shares.size:
                best = shares.max(axis=1 - axis)
                scores[end] += best
                drawn[end] = np.maximum(drawn[end], best)
    keypoints = np.zeros((NUM_KEYPOINTS, 2), np.float32)
    valid = np.zeros(NUM_KEYPOINTS, bool)
    for joint, found in enumerate(spots):
        if len(found) and drawn[joint][best := scores[joint].argmax()] > SMALLEST_DRAWN_SHARE:
            valid[joint] = True
            keypoints[joint] = (found[best] + 0.5) / (pixels.shape[1], pixels.shape[0])
    return keypoints, valid


def _find_spots(pixels: np.ndarray, joint: int) -> np.ndarray:
    """Find the centres (N,2), x and y in pixels, of all spots of a joint's colour."""
    spots, _ = ndimage.label(_has_colour(pixels, COLOURS[joint]))
    sizes = np.bincount(spots.ravel())[1:]
    largest = np.argsort(-sizes, kind="stable")[:MOST_SPOTS]
    chosen = [spot + 1 for spot in largest if sizes[spot] >= SMALLEST_DISC]
    if not chosen:
        return np.zeros((0, 2))
    return np.array(ndimage.center_of_mass(spots > 0, spots, chosen))[:, ::-1]


def _drawn_shares(
    pixels: np.ndarray, limb: int, starts: np.ndarray, ends: np.ndarray
) -> np.ndarray:
    """Share of the way between each start (N,2) and end (M,2) that has the limb's colour: (N,M)."""
    along = np.linspace(0, 1, NUM_SAMPLES)[:, None]
    points = starts[:, None, None] * (1 - along) + ends[None, :, None] * along
    columns, rows = np.moveaxis(np.rint(points).astype(int), -1, 0)
    colour = [DIM * c for c in COLOURS[limb]]
    return _has_colour(pixels[rows, columns], colour).mean(axis=-1)


def _has_colour(pixels: np.ndarray, colour: object) -> np.ndarray:
    """Tell which pixels (...,3) have a colour, up to TOLERANCE: (...) bool."""
    return np.abs(pixels - np.array(colour)).max(axis=-1) <= TOLERANCE
