"""Write drawn people to disk: the DeepFashion folders and lists, and the index of this project."""

import multiprocessing
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from jcdm.data.synthetic.lists import SPLITS, view_entry, write_index, write_lists
from jcdm.data.synthetic.naming import subject_name, view_names
from jcdm.data.synthetic.people import DrawnView, check_size, render_view
from jcdm.data.synthetic.plan import Job, plan_sequences, split_identities
from jcdm.data.synthetic.sequence import render_frame
from jcdm.errors import ConfigError, DataError

_MAX_IDENTITIES = 10**8  # a name has eight digits for the identity


def write_dataset(
    out: Path,
    *,
    num_identities: int,
    seed: int,
    size: tuple[int, int] = (256, 176),
    num_views: int = 8,
    test_fraction: float = 0.1,
    num_sequences: int = 0,
    num_frames: int = 16,
    num_workers: int = 1,
) -> Path:
    """Draw a data set into the new folder `out` and return the path of its index.json.

    `size` is (H, W) in pixels. The last identities form the test split. With `num_sequences` the
    folder also has sequences.json, whose people belong to the same split as in the still images;
    a person walks in one sequence and turns in another. The files do not depend on `num_workers`.
    Everything is written beside `out` first, so `out` appears complete or not at all.

    Raises ConfigError for a wrong number, DataError when `out` is not empty or cannot be written.
    """
    check_size(size)
    _check_numbers(num_identities, num_views, num_frames, num_sequences, num_workers)
    if not 0.0 <= test_fraction <= 1.0:
        raise ConfigError(f"test_fraction is {test_fraction}, expected 0 to 1.")
    _check_free(out)
    people = split_identities(num_identities, test_fraction)
    motions = plan_sequences(people, num_sequences, test_fraction)
    jobs = [Job(identity=i, split=split, num_images=num_views) for split in SPLITS for i in people[split]]
    jobs += [Job(identity=i, split=s, num_images=num_frames, motion=m) for s, i, m in motions]
    scene = Scene(
        root=out.parent / f".{out.name}.partial-{os.getpid()}",
        seed=seed,
        size=size,
        jobs=tuple(jobs),
    )
    try:
        _write(jobs, out, num_workers)
    except OSError as error:
        raise DataError(
            f"cannot write {out}: {error.strerror or error}. "
            "Choose an --out folder on a writable disk with free space."
        ) from error
    return out / "index.json"


def _write(jobs: Sequence[Job], out: Path, num_workers: int) -> None:
    """Draw everything into the jobs' temporary folder and rename it to `out`."""
    root, seed = jobs[0].root, jobs[0].seed
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        for split in SPLITS:
            (root / f"{split}_highres").mkdir(parents=True)
        drawn = _draw_all(jobs, num_workers)
        stills = [subject for subject, job in zip(drawn, jobs, strict=True) if job.motion is None]
        moving = drawn[len(stills) :]
        write_lists(root, stills)
        write_index(root / "index.json", seed, stills)
        if moving:
            write_index(root / "sequences.json", seed, moving)
        if out.exists():
            out.rmdir()
        root.rename(out)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _check_numbers(
    num_identities: int, num_views: int, num_frames: int, num_sequences: int, num_workers: int
) -> None:
    lowest = {
        "num_identities": (num_identities, 1),
        "num_views": (num_views, 1),
        "num_frames": (num_frames, 1),
        "num_sequences": (num_sequences, 0),
        "num_workers": (num_workers, 1),
    }
    for name, (value, least) in lowest.items():
        if value < least:
            raise ConfigError(f"{name} is {value}, expected {least} or more.")
    if num_identities > _MAX_IDENTITIES:
        raise ConfigError(
            f"num_identities is {num_identities}, expected {_MAX_IDENTITIES} at most."
        )


def _check_free(out: Path) -> None:
    if out.is_file():
        raise DataError(f"{out} is a file, expected a new or empty folder. Choose another --out.")
    if out.is_dir() and any(out.iterdir()):
        raise DataError(
            f"{out} is not empty, expected a new or empty folder. Remove it or take another --out."
        )


def _draw_all(jobs: Sequence[Job], num_workers: int) -> list[dict[str, Any]]:
    if num_workers == 1:
        return [_draw_subject(job) for job in jobs]
    # A fresh interpreter, not a fork: the parent may run threads of other libraries.
    context = multiprocessing.get_context("spawn")
    with context.Pool(num_workers) as pool:
        return list(pool.imap(_draw_subject, jobs, chunksize=4))


def _draw_subject(job: Job) -> dict[str, Any]:
    """Draw and save the images of one subject; returns its entry of the index."""
    subject = subject_name(job.seed, job.identity)
    views = [_draw_image(job, number) for number in range(job.num_images)]
    if job.motion is None:
        names = [f"{job.split}_highres/{name}" for name in view_names(subject, views)]
    else:
        subject = f"{subject}_{job.motion}"
        (job.root / "sequences" / subject).mkdir(parents=True)
        names = [f"sequences/{subject}/frame_{k:04d}.jpg" for k in range(job.num_images)]
    for name, view in zip(names, views, strict=True):
        Image.fromarray(view.image).save(job.root / name, quality=95, subsampling=0)
    entries = [view_entry(name, view) for name, view in zip(names, views, strict=True)]
    return {"subject": subject, "split": job.split, "views": entries}


def _draw_image(job: Job, number: int) -> DrawnView:
    """Draw the view or the frame of a number."""
    if job.motion is None:
        return render_view(seed=job.seed, identity=job.identity, view=number, size=job.size)
    return render_frame(
        seed=job.seed,
        identity=job.identity,
        frame=number,
        num_frames=job.num_images,
        motion=job.motion,
        size=job.size,
    )
