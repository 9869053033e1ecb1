"""Write drawn people to disk: the DeepFashion folders and lists, and the index of this project."""

import os
import shutil
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from PIL import Image

from jcdm.data.synthetic.lists import SPLITS, view_entry, write_index, write_lists
from jcdm.data.synthetic.naming import subject_name, view_names
from jcdm.data.synthetic.people import DrawnView, check_size, render_view
from jcdm.data.synthetic.plan import Job, Shoot, plan_sequences, split_identities
from jcdm.data.synthetic.sequence import render_frame
from jcdm.errors import ConfigError, DataError
from jcdm.pools import process_pool

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
    _check_free(out)
    people = split_identities(num_identities, test_fraction)
    motions = plan_sequences(people, num_sequences, test_fraction)
    shoot = Shoot(root=out.parent / f".{out.name}.partial-{os.getpid()}", seed=seed, size=size)
    stills = [Job(shoot, s, i, num_views) for s in SPLITS for i in people[s]]
    moving = [Job(shoot, s, i, num_frames, motion) for s, i, motion in motions]
    try:
        _write(shoot, stills, moving, out, num_workers)
    except OSError as error:
        raise DataError(
            f"cannot write {out}: {error.strerror or error}. "
            "Choose an --out folder on a writable disk with free space."
        ) from error
    return out / "index.json"


def _write(shoot: Shoot, stills: list[Job], moving: list[Job], out: Path, num_workers: int) -> None:
    """Draw everything into the temporary folder and rename it to `out`."""
    root = shoot.root
    shutil.rmtree(root, ignore_errors=True)  # of a killed process that had the same number
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        for split in SPLITS:
            (root / f"{split}_highres").mkdir(parents=True)
        drawn = _draw_all([*stills, *moving], num_workers)
        people, sequences = drawn[: len(stills)], drawn[len(stills) :]
        write_lists(root, people)
        write_index(root / "index.json", shoot.seed, people)
        if sequences:
            write_index(root / "sequences.json", shoot.seed, sequences)
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
    with process_pool(num_workers) as pool:
        try:
            return list(pool.map(_draw_subject, jobs, chunksize=4))
        except BrokenProcessPool as error:
            raise DataError(
                f"a process that draws ended early, expected {num_workers} to go on. Draw with 1 "
                'worker; a script of your own must call this under: if __name__ == "__main__".'
            ) from error


def _draw_subject(job: Job) -> dict[str, Any]:
    """Draw and save the images of one subject; returns its entry of the index."""
    subject = subject_name(job.shoot.seed, job.identity)
    views = [_draw_image(job, number) for number in range(job.num_images)]
    if job.motion is None:
        names = [f"{job.split}_highres/{name}" for name in view_names(subject, views)]
    else:
        subject = f"{subject}_{job.motion}"
        (job.shoot.root / "sequences" / subject).mkdir(parents=True)
        names = [f"sequences/{subject}/frame_{k:04d}.jpg" for k in range(job.num_images)]
    for name, view in zip(names, views, strict=True):
        Image.fromarray(view.image).save(job.shoot.root / name, quality=95, subsampling=0)
    entries = [view_entry(name, view) for name, view in zip(names, views, strict=True)]
    return {"subject": subject, "split": job.split, "views": entries}


def _draw_image(job: Job, number: int) -> DrawnView:
    """Draw the view or the frame of a number."""
    seed, size = job.shoot.seed, job.shoot.size
    if job.motion is None:
        return render_view(seed=seed, identity=job.identity, view=number, size=size)
    return render_frame(
        seed=seed,
        identity=job.identity,
        frame=number,
        num_frames=job.num_images,
        motion=job.motion,
        size=size,
    )
