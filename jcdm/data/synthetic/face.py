"""The face, painted on the front of the head in head coordinates."""

import numpy as np

from jcdm.data.synthetic.hair import Head
from jcdm.data.synthetic.vectors import Floats

_WHITE = np.array([0.96, 0.95, 0.94])


def paint_face(looks: Head, angle: Floats, height: Floats, sideways: Floats) -> Floats:
    """Colours (n, 3) of head points: angle (radians), height and sideways position (metres)."""
    colors = np.tile(looks.skin, (len(angle), 1))
    front = np.flatnonzero(np.abs(angle) < 1.4)
    x, y = np.abs(sideways[front]), height[front]
    painted = colors[front]
    _tint(
        painted,
        looks.lips,
        np.exp(-(((x - 0.040) / 0.016) ** 2 + ((y + 0.035) / 0.018) ** 2)),
        0.22,
    )
    nostrils = (x < 0.013) & (np.abs(y + 0.043) < 0.005)
    painted[nostrils] = looks.skin * 0.68
    painted[(x / 0.027) ** 2 + ((y + 0.072) / 0.0085) ** 2 < 1.0] = looks.lips
    white = ((x - 0.031) / 0.0165) ** 2 + ((y - 0.012) / 0.0095) ** 2 < 1.0
    painted[white] = _WHITE
    painted[white & ((x - 0.031) ** 2 + (y - 0.012) ** 2 < 0.0085**2)] = looks.iris
    lid = (np.abs(x - 0.031) < 0.0185) & (np.abs(y - 0.0215 + 8.0 * (x - 0.029) ** 2) < 0.0026)
    painted[lid] = looks.skin * 0.35
    brow = (np.abs(x - 0.032) < 0.020) & (np.abs(y - 0.036 + 6.0 * (x - 0.030) ** 2) < 0.0042)
    painted[brow] = np.minimum(looks.hair, looks.skin * 0.6)
    colors[front] = painted
    return colors


def _tint(colors: Floats, color: Floats, share: Floats, strength: float) -> None:
    """Mix a colour (3,) into colours (n, 3) in place."""
    colors += (strength * share)[:, None] * (color - colors)
