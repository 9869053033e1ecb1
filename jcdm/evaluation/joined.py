"""One page from many results: loss curves of training runs, then the sections of tests."""

from collections.abc import Sequence
from pathlib import Path

from jcdm.errors import DataError
from jcdm.evaluation.plots import plot_lines
from jcdm.evaluation.report import Figure, Section, Table, read_report, read_sections, write_report
from jcdm.logs import read_metrics

VALIDATION = "validation_loss"


def join_reports(
    out: Path, *, title: str, runs: Sequence[Path], tests: Sequence[Path]
) -> tuple[Path, str]:
    """Write `out/report.html` from finished folders; returns it and the score tables as text.

    Errors: DataError when a folder is no finished run or test.
    """
    out.mkdir(parents=True, exist_ok=True)
    trained = [_run_section(run, out) for run in runs]
    tested = [section for test in tests for section in read_sections(test)]
    page = write_report(
        out,
        title=title,
        intro="Training curves come from short runs at a micro size; tables and pictures of the "
        "tests come from the weights named in their sections.",
        sections=[*tested, *trained],
        manifest={"tests": {test.name: read_report(test).get("manifest") for test in tests}},
    )
    return page, "\n\n".join(_as_text(table) for section in tested for table in section.tables)


def validation_fall(run: Path) -> tuple[float, float]:
    """First and last validation loss of a run; DataError when it has fewer than two."""
    losses = [row[VALIDATION] for row in read_metrics(run / "metrics.jsonl") if VALIDATION in row]
    if len(losses) < 2:
        raise DataError(f"{run} has {len(losses)} validation losses, expected two at least.")
    return losses[0], losses[-1]


def _run_section(run: Path, out: Path) -> Section:
    """Draw the curves of a training run and say how far the loss on unseen people fell."""
    rows = read_metrics(run / "metrics.jsonl")
    first, last = validation_fall(run)
    series = {
        name: (
            [row["step"] for row in rows if key in row],
            [row[key] for row in rows if key in row],
        )
        for name, key in (("people trained on", "loss"), ("unseen people", VALIDATION))
    }
    plot = plot_lines(series, out / f"{run.name}.png", xlabel="step", ylabel="loss")
    pictures = sorted((run / "pictures").glob("*.png"))[-1:]
    return Section(
        title=f"Training: {run.name}",
        intro=f"Loss on the same unseen people and noise: {first:.4f} at first, {last:.4f} at the "
        f"end, a fall of {100 * (1 - last / first):.0f} %.",
        weights=f"trained from scratch in {run.name}; far too short to paint well.",
        figures=(
            Figure(file=plot, caption="Loss of the batches and loss on unseen people."),
            *(
                Figure(file=file, caption="What this short run paints at its end.")
                for file in pictures
            ),
        ),
    )


def _as_text(table: Table) -> str:
    """Lay a table of scores out for the terminal."""
    names = list(table.columns)
    width = max((len(method) for method in table.rows), default=0)
    lines = [table.title, " " * width + "".join(f"  {name:>22}" for name in names)]
    for method, scores in table.rows.items():
        cells = (
            f"  {scores.values[name][0]:>22.4f}" if name in scores.values else f"  {'-':>22}"
            for name in names
        )
        lines.append(f"{method:<{width}}" + "".join(cells))
    return "\n".join(lines)
