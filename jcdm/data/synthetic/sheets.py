"""Contact sheets: many views in one picture, for looking at."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from jcdm.data.synthetic.people import render_view


def contact_sheet(
    *,
    seed: int,
    identities: Sequence[int],
    num_views: int = 8,
    size: tuple[int, int] = (128, 96),
    zoom: int = 1,
    show_joints: bool = False,
) -> Image.Image:
    """Draw identities (rows) from several views (columns); `size` (H, W) of one cell.

    `zoom` enlarges the sheet; `show_joints` marks seen joints green and hidden ones red.
    """
    height, width = size
    sheet = Image.new("RGB", (width * num_views, height * len(identities)))
    for row, identity in enumerate(identities):
        for column in range(num_views):
            view = render_view(seed=seed, identity=identity, view=column, size=size)
            sheet.paste(Image.fromarray(view.image), (column * width, row * height))
    sheet = sheet.resize((sheet.width * zoom, sheet.height * zoom), Image.Resampling.NEAREST)
    if show_joints:
        draw = ImageDraw.Draw(sheet)
        for row, identity in enumerate(identities):
            for column in range(num_views):
                view = render_view(seed=seed, identity=identity, view=column, size=size)
                origin = np.array([column * width, row * height])
                spots = (view.keypoints * [width, height] + origin) * zoom
                for (x, y), valid in zip(spots, view.keypoint_valid, strict=True):
                    color = (0, 255, 0) if valid else (255, 0, 0)
                    draw.ellipse((x - zoom, y - zoom, x + zoom, y + zoom), fill=color)
    return sheet
