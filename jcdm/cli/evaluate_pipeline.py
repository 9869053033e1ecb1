"""`evaluate pipeline`: paint a test task, score it, write the report."""

from collections.abc import Sequence
from pathlib import Path

from jcdm.cli.options import command_parser, parse_command
from jcdm.cli.sampling_options import add_sampling_options, take_settings
from jcdm.cli.scoring_options import add_scoring_options, refuse_existing, scoring_plan

PROG = "python -m jcdm evaluate pipeline"


def main(argv: Sequence[str]) -> None:
    """Paint what is missing of a task, then score it by --protocol if one is named."""
    parser = command_parser(PROG, "Paint a test task and score it.")
    add = parser.add_argument
    add("--pipeline", type=Path, required=True, help="pipeline folder")
    add("--task", type=Path, required=True, help="file of `data tasks`")
    add("--index", type=Path, required=True, help="index.json of the task")
    add("--out", type=Path, required=True, help="folder; a cut run goes on in it")
    add("--seeds", type=int, nargs="+", default=[0], help="one picture a pair for each")
    add("--best_of", type=bool, default=False, help="keep the best seed a pair; renames columns")
    add_sampling_options(parser)
    add("--batch_size", type=int, default=4, help="people a call")
    add("--benchmark", type=str | None, default=None, help="published rows of the report's table")
    add_scoring_options(parser, needs_protocol=False)
    options = parse_command(parser, argv)
    from jcdm.evaluation.report import REPORT_PAGE
    from jcdm.evaluation.task_runs import TaskRun, paint_run, score_run

    run = TaskRun(
        pipeline=options.pipeline,
        task=options.task,
        index=options.index,
        out=options.out,
        seeds=tuple(options.seeds),
        preset=options.preset,
        settings=take_settings(options),
        batch_size=options.batch_size,
        on_bad=options.on_bad,
    )
    plan = None
    if options.protocol is not None:
        scores = options.out / f"scores_{options.protocol}"
        if (scores / "report" / REPORT_PAGE).is_file():  # the last file: else the run was cut
            refuse_existing(scores)
        plan = scoring_plan(options, run.folders.poses)
    paint_run(run)
    if plan is None:
        return
    scored = score_run(run, plan, scores, best_of=options.best_of)
    if scored is None:
        return
    from jcdm.cli.score_printing import print_scores
    from jcdm.evaluation.score_report import write_score_report

    print_scores(scored, scores, options.protocol)
    report = write_score_report(
        scores / "report",
        scores,
        generated=run.folders.generated(run.seeds[0]),
        truth=run.folders.truth,
        task=run.task,
        index=run.index,
        benchmark=options.benchmark,
    )
    print(f"report: {report}")
