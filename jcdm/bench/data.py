"""Speed of the data's side: pose maps, and the import of a published layout."""

from pathlib import Path
from tempfile import TemporaryDirectory

import cv2

from jcdm.bench.lists import write_lists
from jcdm.bench.timing import Timing, time_work
from jcdm.data.importers.base import Options
from jcdm.data.importers.run import import_data
from jcdm.data.pose_maps import draw_pose_map
from jcdm.data.synthetic import render_view

MAP_SIZE = (256, 256)
_NUM_MAPS, _NUM_PEOPLE = 200, 16


def bench_data(num_repeats: int = 7) -> list[Timing]:
    """Time pose maps and, three times at most, an import of lists as long as the protocol's."""
    return [time_pose_maps(num_repeats), time_import(min(num_repeats, 3))]


def time_pose_maps(num_repeats: int = 7) -> Timing:
    """Draw maps of drawn people's poses, 256 x 256, on one core."""
    cv2.setNumThreads(1)
    views = [render_view(seed=0, identity=i, view=i, size=(32, 24)) for i in range(_NUM_PEOPLE)]

    def work() -> int:
        for number in range(_NUM_MAPS):
            view = views[number % _NUM_PEOPLE]
            draw_pose_map(view.keypoints, view.keypoint_valid, *MAP_SIZE)
        return _NUM_MAPS

    return time_work("pose maps, 256 x 256, one core", "maps", work, num_repeats=num_repeats)


def time_import(num_repeats: int = 3) -> Timing:
    """Import lists as long as the protocol's, both splits, without pictures; an item is a list."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_lists(folder)

        def work() -> int:
            out = folder / "index.json"
            import_data("cfld", folder, out, options=Options(need_pictures=False))
            return 1

        return time_work(
            "import of 52,712 annotations, 110,536 pairs",
            "imports",
            work,
            num_repeats=num_repeats,
            num_warmup=1,
        )
