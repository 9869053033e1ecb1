"""`evaluate images|pipeline|table`: score pictures, paint and score a task, the paper table."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import fields
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from jcdm.cli.options import command_parser, parse_command, take_word
from jcdm.errors import ConfigError

PROG = "python -m jcdm evaluate"


def main(argv: Sequence[str]) -> None:
    """Run `evaluate WORD ...`."""
    actions: dict[str, Callable[[Sequence[str]], None]] = {
        "images": _images,
        "pipeline": _pipeline,
        "table": _table,
    }
    word, rest = take_word(argv, tuple(actions), PROG)
    actions[word](rest)


def _images(argv: Sequence[str]) -> None:
    parser = command_parser(f"{PROG} images", "Score a folder of pictures by a named protocol.")
    parser.add_argument("--generated", type=Path, required=True, help="folder of pictures")
    parser.add_argument("--truth", type=Path, required=True, help="folder of true pictures")
    parser.add_argument("--pairs", type=Path | None, default=None, help="CSV: truth, generated")
    parser.add_argument("--out", type=Path, required=True, help="new folder")
    _add_scoring(parser, required=True)
    options = parse_command(parser, argv)
    _score(options, options.generated, options.truth, options.pairs, options.out)


def _pipeline(argv: Sequence[str]) -> None:
    parser = command_parser(f"{PROG} pipeline", "Paint a test task and score it.")
    parser.add_argument("--pipeline", type=Path, required=True, help="pipeline folder")
    parser.add_argument("--task", type=Path, required=True, help="file of `data tasks`")
    parser.add_argument("--index", type=Path, required=True, help="index.json of the task")
    parser.add_argument("--out", type=Path, required=True, help="folder; a cut run goes on in it")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--num_steps", type=int | None, default=None)
    parser.add_argument("--guidance_scale", type=float | None, default=None)
    parser.add_argument("--prior_steps", type=int | None, default=None)
    parser.add_argument("--batch_size", type=int, default=4, help="people a call")
    _add_scoring(parser, required=False)
    options = parse_command(parser, argv)
    from jcdm.evaluation.task_runs import TaskRun, run_task

    names = [f.name for f in fields(TaskRun)]
    if not run_task(TaskRun(**{name: options[name] for name in names})):
        return
    if options.protocol is not None:
        from jcdm.evaluation.task_painting import GENERATED, TRUTH

        out = options.out / f"scores_{options.protocol}"
        _score(options, options.out / GENERATED, options.out / TRUTH, None, out)


def _add_scoring(parser: ArgumentParser, *, required: bool) -> None:
    kind = str if required else str | None
    parser.add_argument("--protocol", type=kind, required=required, help="pcdms, cfld or strict")
    parser.add_argument("--reference", type=Path | None, default=None, help="FID's real pictures")
    parser.add_argument("--size", type=str, default="256x176", help="HEIGHTxWIDTH of scoring")
    parser.add_argument("--method", type=str, default="ours", help="name of the table's row")
    parser.add_argument("--scores", type=str, nargs="*", default=None, help="must be computed")
    parser.add_argument("--inception", type=Path | None, default=None, help="weights for FID, KID")
    parser.add_argument("--alexnet", type=Path | None, default=None, help="weights for LPIPS")
    parser.add_argument("--lpips_heads", type=Path | None, default=None, help="LPIPS 0.1 heads")


def _score(options: Namespace, generated: Path, truth: Path, pairs: Path | None, out: Path) -> None:
    """Score two folders, write the new folder `out` and print its scores."""
    if out.exists():
        raise ConfigError(f"{out} exists; choose a new folder, or remove it first.")
    from jcdm.evaluation.folder_scores import write_scores
    from jcdm.evaluation.protocols.networks import load_networks
    from jcdm.evaluation.protocols.protocol import find_protocol
    from jcdm.evaluation.protocols.results import score_folders
    from jcdm.evaluation.protocols.scoring import Folders

    protocol, size = find_protocol(options.protocol), _read_size(options.size)
    folders = Folders(generated=generated, truth=truth, reference=options.reference, pairs=pairs)
    networks = load_networks(options.inception, options.alexnet, options.lpips_heads)
    result = score_folders(protocol, folders, size, networks, scores=options.scores)
    files = {"inception": options.inception, "alexnet": options.alexnet}
    weights = {role: None if path is None else path.name for role, path in files.items()}
    file = write_scores(out, result, method=options.method, weights=weights)
    for name, value in result.aggregates.items():
        print(f"{name:22} {value:.6f}")
    for note in result.notes:
        print(f"note: {note}")
    print(f"{len(result.lists['pairs'])} pairs by protocol {protocol.name}: {file}")


def _read_size(text: str) -> tuple[int, int]:
    from jcdm.fitting import parse_frame

    size = None
    with suppress(ConfigError):
        size = parse_frame(text)
    if size is None:
        raise ConfigError(f"--size is {text!r}; expected HEIGHTxWIDTH such as 256x176.")
    return size


def _table(argv: Sequence[str]) -> None:
    parser = command_parser(f"{PROG} table", "Put scores beside those that papers print.")
    parser.add_argument("--results", type=Path, nargs="+", required=True, help="scored folders")
    parser.add_argument("--benchmark", type=str, default="deepfashion_256")
    parser.add_argument("--out", type=Path | None, default=None, help="write table.md, .tex, .html")
    options = parse_command(parser, argv)
    from jcdm.evaluation.folder_scores import read_row
    from jcdm.evaluation.paper_table import build_table, render_table, write_tables

    table = build_table(options.benchmark, [read_row(folder) for folder in options.results])
    print(render_table(table, "md"))
    if options.out is not None:
        for file in write_tables(table, options.out):
            print(f"written: {file}")
