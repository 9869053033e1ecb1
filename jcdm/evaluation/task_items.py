"""A test task as it was written: its items, and where what belongs to them is kept."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from jcdm.data.index import read_index
from jcdm.errors import DataError
from jcdm.reading import read_json, short_reason
from jcdm.records import ViewRecord

FORMAT, VERSION = "jcdm-task", 1
_TO, _AND = "_to_", "+"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskItem:
    """One item of a task: its number, the views that are given and those to be painted."""

    number: int
    references: tuple[ViewRecord, ...]
    targets: tuple[ViewRecord, ...]

    @property
    def names(self) -> list[str]:
        """Name its painted files, REFERENCE_to_TARGET.png, as the published codes do."""
        source = _AND.join(view.image.stem for view in self.references)
        return [f"{source}{_TO}{view.image.stem}.png" for view in self.targets]


@dataclass(frozen=True, slots=True)
class TaskFolders:
    """Where a painted task is kept: everything below `root`."""

    root: Path

    def generated(self, seed: int) -> Path:
        """Pictures painted with a seed, under the names of their items."""
        return self.root / f"seed_{seed}" / "generated"

    @property
    def truth(self) -> Path:
        """True pictures, TARGET.png, in the frame of the painted ones."""
        return self.root / "truth"

    @property
    def poses(self) -> Path:
        """Joints of the true pictures, TARGET.json."""
        return self.root / "poses"

    @property
    def reconstructed(self) -> Path:
        """True pictures through the VAE and back, TARGET.png."""
        return self.root / "reference_rows" / "vae"

    @property
    def copied(self) -> Path:
        """For each painted picture the reference nearest in pose, under the same name."""
        return self.root / "reference_rows" / "copy"


def read_task(file: Path, index: Path) -> list[TaskItem]:
    """Read a task and find its views in an index. Errors: DataError naming the item."""
    task = _read_document(file)
    records = read_index(index, str(task["split"]))
    views = {view.image.name: view for record in records for view in record.views}
    return [_read_item(item, number, views, file) for number, item in enumerate(task["items"])]


def task_kind(file: Path) -> str:
    """Return how a task's items were chosen: `list` = the protocol's own. Errors: DataError."""
    return str(_read_document(file).get("kind", ""))


def target_name(painted: str) -> str:
    """Return the target's name of a painted file's."""
    return Path(painted).stem.rpartition(_TO)[2]


def reference_names(painted: str) -> list[str]:
    """Return the references' names of a painted file's; none of a file named otherwise."""
    names = Path(painted).stem.rpartition(_TO)[0]
    return names.split(_AND) if names else []


def sets_painted_together(items: Sequence[TaskItem]) -> list[list[str]]:
    """Names of the painted files of every item with several targets, which share one grid."""
    return [item.names for item in items if len(item.targets) > 1]


def save_picture(picture: Image.Image, file: Path) -> None:
    """Write a picture whole or not at all."""
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    picture.save(partial, format="PNG")
    os.replace(partial, file)


def _read_document(file: Path) -> dict[str, Any]:
    try:
        task = read_json(file)
        known = (task["format"], task["version"]) == (FORMAT, VERSION)
        task = {**task, "split": task["split"], "items": list(task["items"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{file} holds no task: {short_reason(error)}. Expected a file that "
            "`python -m jcdm data tasks` wrote."
        ) from None
    if not known:
        raise DataError(f"{file} has not format {FORMAT!r} version {VERSION}; write it again.")
    return task


def _read_item(item: Any, number: int, views: dict[str, ViewRecord], file: Path) -> TaskItem:
    try:
        found = {
            kind: tuple(views[name] for name in item[kind]) for kind in ("references", "targets")
        }
    except (KeyError, TypeError) as error:
        raise DataError(
            f"{file}, item {number}: {error} is no view of the index. Pass the index that the task "
            "was made of."
        ) from None
    if not found["references"] or not found["targets"]:
        raise DataError(f"{file}, item {number}: expected references and targets, found none.")
    return TaskItem(number=number, **found)
