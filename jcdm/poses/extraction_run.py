"""One run of `poses extract`: pictures in; pose files, overlays, an index and a manifest out."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from jcdm.data.index import index_identity, read_index
from jcdm.data.pose_files import EXTRACTION
from jcdm.errors import ConfigError, DataError
from jcdm.manifest import run_manifest, write_manifest
from jcdm.plain import to_plain
from jcdm.poses.choose import Choice
from jcdm.poses.detector import PoseDetector
from jcdm.poses.extraction import Extracted, Job, OnBad, extract_poses
from jcdm.poses.sources import folder_jobs, index_jobs, jobs_identity, write_filled_index


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractionWish:
    """What to extract: a folder of pictures, or an index and where to write its filled copy."""

    out: Path
    root: Path | None = None
    index: Path | None = None
    out_index: Path | None = None
    overlays: Path | None = None
    on_bad: OnBad = "error"

    def __post_init__(self) -> None:
        if (self.root is None) == (self.index is None):
            found = "neither" if self.root is None else "both"
            raise ConfigError(f"expected --root DIR or --index FILE, found {found}; give one.")
        if (self.index is None) != (self.out_index is None):
            raise ConfigError("--index IN and --out_index OUT belong together; give both.")
        if self.index and self.out_index and self.index.resolve() == self.out_index.resolve():
            raise ConfigError(f"--out_index is --index, {self.index}; choose another file.")


def run_extraction(wish: ExtractionWish, detector: PoseDetector, choice: Choice) -> Extracted:
    """Extract all poses and write what belongs to them below `wish.out`.

    Errors: DataError for what cannot be read or written; what was found until then stays, and the
    next run goes on from there.
    """
    records = () if wish.index is None else read_index(wish.index)
    if wish.index is None:
        assert wish.root is not None
        jobs = folder_jobs(wish.root, wish.out, wish.overlays)
    else:
        jobs = index_jobs(records, wish.index, wish.out, wish.overlays)
    if any(job.pose == wish.out / EXTRACTION for job in jobs):
        raise DataError(f"found a picture called {Path(EXTRACTION).stem}; rename it.")
    with tqdm(total=len(jobs), unit=" pictures", disable=None) as bar:
        extracted = extract_poses(
            jobs, detector, choice, on_bad=wish.on_bad, report=lambda _done: bar.update()
        )
    if wish.out_index is not None:
        pictures = {job.picture: job.name for job in jobs if job.name in extracted.poses}
        poses = {picture: extracted.poses[name] for picture, name in pictures.items()}
        origin = {"name": "jcdm poses extract", "detector": detector.identity, **asdict(choice)}
        write_filled_index(wish.out_index, records, poses, origin)
    wish.out.mkdir(parents=True, exist_ok=True)
    write_manifest(wish.out / EXTRACTION, _manifest(wish, jobs, extracted, detector, choice))
    return extracted


def _manifest(
    wish: ExtractionWish,
    jobs: list[Job],
    extracted: Extracted,
    detector: PoseDetector,
    choice: Choice,
) -> Mapping[str, Any]:
    data = jobs_identity(jobs) | ({} if wish.index is None else index_identity(wish.index))
    skipped = [{"picture": name, "reason": reason} for name, reason in extracted.skipped]
    return run_manifest(
        {**to_plain(wish), "choice": asdict(choice)},
        seed=0,
        data=data,
        weights={"detector": detector.identity},
        detector=detector.identity,
        num_poses=len(extracted.poses),
        num_reused=extracted.num_reused,
        skipped=skipped,
    )
