"""Pictures of a batch as an encoder or a detector takes them."""

import numpy as np
from PIL import Image


def to_image(picture: np.ndarray) -> Image.Image:
    """Round a picture (H,W,3), nominal range [0,1], to an RGB picture of 8 bits."""
    return Image.fromarray(np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8))
