"""Contact sheets: many views in one picture, for looking at."""

from collections.abc import Sequence

from PIL import Image

from jcdm.data.synthetic.people import render_view


def contact_sheet(
    *, seed: int, identities: Sequence[int], num_views: int = 8, size: tuple[int, int] = (128, 96)
) -> Image.Image:
    """Draw identities (rows) from several views (columns); `size` (H, W) of one cell."""
    height, width = size
    sheet = Image.new("RGB", (width * num_views, height * len(identities)))
    for row, identity in enumerate(identities):
        for column in range(num_views):
            view = render_view(seed=seed, identity=identity, view=column, size=size)
            sheet.paste(Image.fromarray(view.image), (column * width, row * height))
    return sheet
