"""Pictures of the evidence: the first people painted, nobody picked, and scores as curves."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jcdm.evaluation.plots import Band, plot_bands, plot_lines
from jcdm.evaluation.sheets import enlarged, people_sheet, save_sheet
from jcdm.evidence.orderings import join_seeds
from jcdm.evidence.people import DrawnPeople
from jcdm.evidence.row_files import RowFile
from jcdm.evidence.tasks import GridPlan

SHOWN = ("perceptual (tiny)", "colour error", "print likeness")
_NUMBER = re.compile(r"(.*?)\s*([\d.]+)$")


def save_grids(
    people: DrawnPeople, plans: Sequence[GridPlan], pictures: np.ndarray, file: Path
) -> Path:
    """Write a sheet, a person a row: references, then each scored view painted and true.

    pictures (N,V,H,W,3) uint8 of the first N plans; small ones enlarged, pixels as they are.
    """
    rows = []
    for plan, painted in zip(plans, pictures, strict=False):
        truth = [people.images[plan.person, view] for view in plan.views]
        given = [enlarged(truth[c]) for c in np.flatnonzero(plan.visible)]
        scored = np.flatnonzero(plan.scored)
        shown = [[enlarged(painted[c]), enlarged(truth[c])] for c in scored]
        rows.append((f"person {plan.person}", given, shown))
    return save_sheet(people_sheet(rows, ("painted", "truth")), file)


def save_curves(row: RowFile, folder: Path) -> Path | None:
    """Plot a row whose tasks or variants end in a number; None for any other.

    Tasks references_1, _2, _3 of a row without variants become a curve a score with its interval;
    variants such as `DDIM 12` or `1.5` a curve of the perceptual distance for each name.
    """
    file = folder / f"{row.name}_curves.png"
    tasks = [
        r.task for r in row.results if r.task.startswith("references_") and r.task[-1] in "123"
    ]
    if len(dict.fromkeys(tasks)) == 3 and {r.variant for r in row.results} == {""}:
        return _plot_references(row, sorted(dict.fromkeys(tasks)), file)
    found = [_NUMBER.fullmatch(result.variant) for result in row.results]
    if len(found) < 2 or not all(found):
        return None
    series: dict[str, tuple[list[float], list[float]]] = {}
    for match, result in zip(found, row.results, strict=True):
        assert match is not None
        x, y = series.setdefault(match[1] or row.name, ([], []))
        x.append(float(match[2]))
        y.append(result.scores[SHOWN[0]].mean)
    return plot_lines(dict(series), file, xlabel=row.name, ylabel=SHOWN[0])


def _plot_references(row: RowFile, tasks: Sequence[str], file: Path) -> Path:
    counts = [float(task[-1]) for task in tasks]
    panels = {}
    for name in SHOWN:
        found = [[r.scores[name] for r in row.find("", t) if name in r.scores] for t in tasks]
        if all(found):
            joined = [join_seeds(some) for some in found]
            panels[name] = Band(
                x=counts,
                mean=[e.mean for e in joined],
                low=[e.low for e in joined],
                high=[e.high for e in joined],
            )
    return plot_bands(panels, file, xlabel="references", ticks=counts)
