"""The camera: it looks at the person's height with slight perspective and frames the image."""

from dataclasses import dataclass, replace

import numpy as np

from jcdm.data.synthetic.vectors import Floats, turn_x, turn_y


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """A pinhole camera. The person is turned by `yaw` radians in front of it.

    yaw 0 shows the front; a positive yaw turns the person's face to the right of the image.
    `pitch` > 0 looks down. `distance` and `height` in metres. `scale` (pixels per metre at
    `distance`) and `offset` (2,) (pixels) place the picture.
    """

    yaw: float
    pitch: float
    distance: float
    height: float
    scale: float = 1.0
    offset: tuple[float, float] = (0.0, 0.0)

    @property
    def rotation(self) -> Floats:
        """Body axes to camera axes (3, 3): x right, y up, z towards the viewer."""
        return turn_x(self.pitch) @ turn_y(self.yaw)

    def project(self, points: Floats) -> Floats:
        """Project points (N, 3) in metres to x, y in pixels (y down) and distance in metres."""
        seen = (points - np.array([0.0, self.height, 0.0])) @ self.rotation.T
        distance = self.distance - seen[:, 2]
        factor = self.scale * self.distance / distance
        x = self.offset[0] + seen[:, 0] * factor
        y = self.offset[1] - seen[:, 1] * factor
        return np.stack([x, y, distance], 1)

    def turned(self, yaw: float) -> "Camera":
        """The same camera with the person turned to another yaw (radians)."""
        return replace(self, yaw=yaw)

    def scaled(self, factor: float) -> "Camera":
        """The same picture on a raster `factor` times as fine."""
        x, y = self.offset
        return replace(self, scale=self.scale * factor, offset=(x * factor, y * factor))


def fit_camera(
    camera: Camera,
    points: Floats,
    size: tuple[int, int],
    *,
    fill: float,
    place: tuple[float, float],
    bottom: float | None = None,
) -> Camera:
    """Scale and shift a camera so that points (N, 3) fill the frame of `size` (H, W) pixels.

    `fill` is the share of the frame's height to use (of 96 % of its width when that binds);
    `place` in [0, 1] says where the free space goes, horizontally and vertically. With `bottom`,
    a height in metres, the picture ends there instead of at the lowest point (upper body).
    """
    height, width = size
    screen = camera.project(points)
    if bottom is not None:
        screen = screen[points[:, 1] > bottom - 0.02]
    left, top = screen[:, 0].min(), screen[:, 1].min()
    right, low = screen[:, 0].max(), screen[:, 1].max()
    scale = min(fill * height / (low - top), 0.96 * width / (right - left))
    slack_x = width - scale * (right - left)
    # An upper-body picture is cut off at the bottom edge; a full one has floor below it.
    slack_y = height - scale * (low - top)
    margin = slack_x * 0.5 + (place[0] - 0.5) * 0.5 * slack_x
    above = slack_y * (1.0 if bottom is not None else 0.35 + 0.3 * place[1])
    return replace(
        camera,
        scale=camera.scale * scale,
        offset=(margin - left * scale, above - top * scale),
    )
