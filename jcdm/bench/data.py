"""Speed of the data's side: pose maps, an import, whether a loader keeps up, two processes."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
from diffusers import AutoencoderKL
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from jcdm.bench.lists import write_lists
from jcdm.bench.loading import VIEW, bench_waiting, build_cache, drawn_index, open_people
from jcdm.bench.processes import bench_processes
from jcdm.bench.results import Row
from jcdm.bench.timing import Timing, time_work
from jcdm.data.importers.base import Options
from jcdm.data.importers.run import import_data
from jcdm.data.pose_maps import draw_pose_map
from jcdm.data.synthetic import render_view
from jcdm.models.encoders import FrozenCLIPVision, FrozenVAE
from jcdm.training.plan import STABLE_DIFFUSION_VAE

MAP_SIZE = (256, 256)
NUM_STEPS = 40
_NUM_MAPS, _NUM_PEOPLE = 200, 16


def bench_data(num_repeats: int = 7) -> Iterator[Row]:
    """Time pose maps, an import as long as the protocol's, the loader, and two processes.

    The last three are repeated three times at most.
    """
    few = min(num_repeats, 3)
    yield time_pose_maps(num_repeats)
    yield time_import(few)
    yield from bench_loader()
    yield from bench_processes(few)


def bench_loader() -> Iterator[Row]:
    """Say whether two workers keep a step of 50 ms and 8 people fed, without and with a cache."""
    with drawn_index(VIEW, _NUM_PEOPLE) as index:
        yield from bench_waiting("from photographs", open_people(index, VIEW), num_steps=NUM_STEPS)
        cache, _ = build_cache(index, VIEW, *_small_encoders())
        people = open_people(index, VIEW, cache=cache)
        yield from bench_waiting("from a cache", people, num_steps=NUM_STEPS)


def _small_encoders() -> tuple[FrozenVAE, FrozenCLIPVision]:
    """Fast encoders whose latents and embeddings have the published shapes."""
    vae = AutoencoderKL(
        **STABLE_DIFFUSION_VAE
        | {"block_out_channels": (8,) * 4, "layers_per_block": 1, "norm_num_groups": 8}
    )
    clip = CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=1,
        patch_size=32,
        image_size=224,
        projection_dim=1280,
    )
    return FrozenVAE(vae), FrozenCLIPVision(CLIPVisionModelWithProjection(clip))


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
