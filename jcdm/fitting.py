"""The words for how a picture is brought to the size of a view."""

import re

from jcdm.errors import ConfigError

Fit = str  # a word of FITS, or a frame such as 256x176
FITS = ("crop", "letterbox", "stretch")
_FRAME = re.compile(r"([1-9]\d{0,4})x([1-9]\d{0,4})")


def parse_frame(fit: Fit) -> tuple[int, int] | None:
    """Read a frame `HEIGHTxWIDTH`; None for a word of FITS. Errors: ConfigError."""
    if fit in FITS:
        return None
    found = _FRAME.fullmatch(fit)
    if not found:
        raise ConfigError(
            f"data.fit is {fit!r}; expected one of {', '.join(FITS)}, or a frame such as 256x176."
        )
    return int(found[1]), int(found[2])


def frame_place(fit: Fit, view: tuple[int, int]) -> tuple[slice, slice]:
    """Say where a frame stands in a view (height, width): its rows and columns; else all of them.

    Errors: ConfigError for a frame that is larger than the view.
    """
    frame = parse_frame(fit) or view
    spare = (view[0] - frame[0], view[1] - frame[1])
    if min(spare) < 0:
        raise ConfigError(
            f"the frame {frame[0]}x{frame[1]} does not fit into a view of {view[0]} x {view[1]} "
            "pixels. Enlarge data.height or data.width."
        )
    top, left = spare[0] // 2, spare[1] // 2
    return slice(top, top + frame[0]), slice(left, left + frame[1])
