"""From mesh to colours: supersampled rasterising, soft light and the average over each pixel."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from jcdm.data.synthetic.camera import Camera
from jcdm.data.synthetic.materials import Looks, color_surface
from jcdm.data.synthetic.mesh import Mesh
from jcdm.data.synthetic.rasterizer import Floats32, rasterize
from jcdm.data.synthetic.vectors import Floats

_SMALL = 160


def supersampling(size: tuple[int, int]) -> int:
    """Samples a pixel has along each side: small pictures need more of them."""
    return 3 if size[0] <= _SMALL else 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A person without background.

    `color` (H, W, 3), already multiplied by `coverage` (H, W) in [0, 1]; `regions` (H, W) uint8;
    `depth` (sH, sW) metres from the camera on the supersampled raster, infinity = background.
    """

    color: Floats32
    coverage: Floats32
    regions: npt.NDArray[np.uint8]
    depth: Floats32


def shade(
    looks: Looks, mesh: Mesh, camera: Camera, light: Floats, size: tuple[int, int]
) -> Picture:
    """Render the mesh; `light` (3,) is a unit vector towards the lamp in camera axes."""
    factor = supersampling(size)
    height, width = size[0] * factor, size[1] * factor
    screen = camera.scaled(factor).project(mesh.vertices)
    screen[:, 2] -= mesh.over
    seen = rasterize(screen.astype(np.float32), mesh.triangles, height, width)
    corners = mesh.triangles[seen.triangles]
    values = np.concatenate([mesh.texture, mesh.normals @ camera.rotation.T], 1).astype(np.float32)
    found = np.einsum("nk,nkc->nc", seen.weights, values[corners])
    colors, labels = color_surface(looks, mesh.parts[seen.triangles], found[:, :3])
    occlusion = _crevices(seen.depth, factor).ravel()[seen.pixels]
    colors *= (_lamp(found[:, 3:], light) * occlusion)[:, None]
    canvas = np.zeros((height * width, 4), np.float32)
    canvas[seen.pixels, :3], canvas[seen.pixels, 3] = colors, 1.0
    canvas = _average(canvas.reshape(height, width, 4), factor)
    regions = np.zeros(height * width, np.uint8)
    regions[seen.pixels] = labels
    middle = factor // 2
    return Picture(
        color=canvas[..., :3],
        coverage=canvas[..., 3],
        regions=regions.reshape(height, width)[middle::factor, middle::factor].copy(),
        depth=seen.depth,
    )


def _average(canvas: Floats32, factor: int) -> Floats32:
    """Mean over blocks of factor x factor samples; sums of slices beat `mean` over two axes."""
    rows = canvas[0::factor].copy()
    for step in range(1, factor):
        rows += canvas[step::factor]
    total = rows[:, 0::factor].copy()
    for step in range(1, factor):
        total += rows[:, step::factor]
    return total / np.float32(factor * factor)


def _lamp(normals: Floats, light: Floats) -> Floats:
    """Brightness (n,) of points with camera-space normals (n, 3): wrapped diffuse light."""
    length = np.sqrt((normals * normals).sum(1))
    facing = normals @ light / np.maximum(length, 1e-6)
    wrapped = np.clip((facing + 0.35) / 1.35, 0.0, 1.0)
    # Grazing surfaces are a little darker, which draws a soft outline.
    edge = np.clip(normals[:, 2] / np.maximum(length, 1e-6), 0.0, 1.0)
    return np.asarray((0.56 + 0.50 * wrapped) * (0.80 + 0.20 * np.sqrt(edge)))


def _crevices(depth: Floats32, factor: int) -> Floats32:
    """Brightness (sH, sW) that falls where the neighbourhood is nearer: arms cast a soft shade."""
    solid = np.isfinite(depth)
    filled = np.where(solid, depth, depth[solid].max(initial=0.0))
    # The mean is smooth, so one sample of each final pixel is enough to form it.
    coarse = filled[::factor, ::factor]
    reach = max(1, coarse.shape[0] // 48)
    mean = _box_mean(_box_mean(coarse, reach).T, reach).T
    around = mean.repeat(factor, 0).repeat(factor, 1)
    return np.asarray(1.0 - 1.6 * np.clip(filled - around, 0.0, 0.16), np.float32)


def _box_mean(values: Floats32, reach: int) -> Floats32:
    """Mean over 2 reach + 1 rows, edges repeated."""
    padded = np.pad(values, ((reach + 1, reach), (0, 0)), "edge")
    total = np.cumsum(padded, 0, dtype=np.float64)
    return np.asarray((total[2 * reach + 1 :] - total[: -2 * reach - 1]) / (2 * reach + 1))
