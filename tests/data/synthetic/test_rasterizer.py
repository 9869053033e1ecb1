"""The rasteriser keeps the nearest front-facing surface, compared with a slow loop."""

import numpy as np

from jcdm.data.synthetic.rasterizer import rasterize


def _inside(corners: np.ndarray, x: float, y: float) -> np.ndarray | None:
    (ax, ay), (bx, by), (cx, cy) = corners[:, :2]
    area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    w1 = ((x - ax) * (cy - ay) - (y - ay) * (cx - ax)) / area
    w2 = ((bx - ax) * (y - ay) - (by - ay) * (x - ax)) / area
    weights = np.array([1 - w1 - w2, w1, w2])
    return weights if (weights >= 0).all() else None


def test_matches_a_slow_loop() -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform(-4, 24, (90, 3)).astype(np.float32)
    points[:, 2] = rng.uniform(1, 5, 90)
    triangles = np.arange(90).reshape(30, 3)
    found = rasterize(points, triangles, 20, 18)
    expected = np.full((20, 18), np.inf)
    for corners in points[triangles].astype(float):
        edge, other = corners[1] - corners[0], corners[2] - corners[0]
        if edge[0] * other[1] - edge[1] * other[0] >= 0:
            continue
        for row in range(20):
            for column in range(18):
                weights = _inside(corners, column + 0.5, row + 0.5)
                if weights is not None:
                    expected[row, column] = min(expected[row, column], weights @ corners[:, 2])
    np.testing.assert_allclose(found.depth, expected, rtol=1e-4)
    assert len(found.pixels) == np.isfinite(expected).sum()
    depth = (found.weights * points[triangles[found.triangles]][..., 2]).sum(1)
    np.testing.assert_allclose(depth, found.depth.ravel()[found.pixels], rtol=1e-4)


def test_nothing_in_view_is_an_empty_picture() -> None:
    far = np.array([[50, 50, 1], [50, 60, 1], [60, 50, 1]], np.float32)
    found = rasterize(far, np.array([[0, 1, 2]]), 8, 8)
    assert len(found.pixels) == 0 and np.isinf(found.depth).all()
