"""Lids: flat ends of tubes, so that a hem shows cloth and not the inside."""

import numpy as np

from jcdm.data.synthetic.tubes import Tube
from jcdm.data.synthetic.vectors import Floats


def closed(values: Floats, *, first: bool, last: bool) -> Floats:
    """Repeat an end ring twice, the outer time shrunk to a point: a flat lid at a hem."""
    parts = [values[:1] * 0.02, values[:1]] if first else []
    parts += [values]
    parts += [values[-1:], values[-1:] * 0.02] if last else []
    return np.concatenate(parts)


def held(values: Floats, *, first: bool, last: bool) -> Floats:
    """Repeat end rows to match `closed`."""
    parts = [values[:1]] * 2 if first else []
    parts += [values]
    parts += [values[-1:]] * 2 if last else []
    return np.concatenate(parts)


def lidded(tube: Tube) -> Tube:
    """Close the far end of a tube by a flat lid."""
    end = {"first": False, "last": True}
    return Tube(
        part=tube.part,
        centers=held(tube.centers, **end),
        lateral=held(tube.lateral, **end),
        forward=held(tube.forward, **end),
        half_width=closed(tube.half_width, **end),
        front=closed(tube.front, **end),
        back=closed(tube.back, **end),
        along=held(tube.along, **end),
        square=tube.square,
        over=tube.over,
        swell=None if tube.swell is None else held(tube.swell, **end),
    )
