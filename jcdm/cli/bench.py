"""`bench WORD`: timed cost of every stage, medians of repeats, peak memory, goals."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from jcdm.cli.options import command_parser, parse_command, take_word

PROG = "python -m jcdm bench"
STEP_WORDS = ("prior", "denoiser", "motion")
SIZED_WORDS = (*STEP_WORDS, "sample", "cache")
WORDS = (*SIZED_WORDS, "data", "evaluate")


def main(argv: Sequence[str]) -> None:
    """Run `bench WORD ...`."""
    word, rest = take_word(argv, WORDS, PROG)
    options = parse_command(_parser(word), rest)
    from jcdm.bench.results import Row, write_results

    rows: list[Row] = []
    for row in _rows(word, options):
        print(row.line, flush=True)
        rows.append(row)
    if options.json is not None:
        settings = {k: str(v) for k, v in vars(options).items() if k != "json" and v is not None}
        write_results(options.json, word, rows, **settings)
        print(f"written: {options.json}")


def _parser(word: str) -> Any:
    parser = command_parser(f"{PROG} {word}", "Time what a part costs: medians after warm-up.")
    parser.add_argument("--num_repeats", type=int, default=7)
    parser.add_argument("--json", type=Path | None, default=None, help="write the numbers here")
    if word in SIZED_WORDS:
        parser.add_argument("--size", type=str, default="mid", help="tiny, mid or full")
        parser.add_argument("--device", type=str, default="cpu", help="cpu or cuda")
        parser.add_argument(
            "--mixed_precision", type=str | None, default=None, help="no, bf16 or fp16"
        )
        parser.add_argument("--num_threads", type=int | None, default=None, help="of torch")
    if word == "evaluate":
        parser.add_argument("--sets", type=bool, default=True, help="FID, KID of 48,674 and 8,570")
    return parser


def _rows(word: str, options: Any) -> Iterator[Any]:
    if word == "data":
        from jcdm.bench.data import bench_data

        return bench_data(options.num_repeats)
    if word == "evaluate":
        from jcdm.bench.evaluation import bench_evaluation

        return bench_evaluation(options.num_repeats, with_sets=options.sets)
    from jcdm.bench.setting import bench_setting
    from jcdm.bench.suites import run_suite

    bench = bench_setting(
        options.size,
        options.device,
        num_repeats=options.num_repeats,
        mixed_precision=options.mixed_precision,
        num_threads=options.num_threads,
    )
    return run_suite(word, bench)
