"""`bench data|evaluate`: timed cost, medians of repeats, peak memory."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jcdm.cli.options import command_parser, parse_command, take_word

PROG = "python -m jcdm bench"
WORDS = ("data", "evaluate")


def main(argv: Sequence[str]) -> None:
    """Run `bench WORD ...`."""
    word, rest = take_word(argv, WORDS, PROG)
    parser = command_parser(f"{PROG} {word}", "Time what a part costs: medians after warm-up.")
    parser.add_argument("--num_repeats", type=int, default=7)
    parser.add_argument("--json", type=Path | None, default=None, help="write the numbers here")
    if word == "evaluate":
        parser.add_argument("--sets", type=bool, default=True, help="FID, KID of 48,674 and 8,570")
    options = parse_command(parser, rest)
    if word == "data":
        rows = _data(options.num_repeats)
    else:
        rows = _evaluate(options.num_repeats, with_sets=options.sets)
    if options.json is not None:
        from jcdm.manifest import code_identity, hardware, package_versions

        origin = {"code": code_identity(Path(__file__).parent), "hardware": hardware()}
        document = {"bench": word, "rows": rows, **origin, "versions": package_versions()}
        options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        print(f"written: {options.json}")


def _data(num_repeats: int) -> list[dict[str, Any]]:
    from jcdm.bench.data import bench_data

    timings = bench_data(num_repeats)
    for timing in timings:
        print(timing.line)
    return [asdict(timing) for timing in timings]


def _evaluate(num_repeats: int, *, with_sets: bool) -> list[dict[str, Any]]:
    from jcdm.bench.evaluation import compare_similarities, measure_set_distances, time_networks

    comparison, gap = compare_similarities(num_repeats)
    print(f"{comparison.line}; largest difference {gap:.1e}")
    timings = time_networks(num_repeats)
    for timing in timings:
        print(timing.line)
    rows = [asdict(comparison) | {"gap": gap}, *map(asdict, timings)]
    if with_sets:
        before, peak = measure_set_distances()
        print(f"{'FID, KID of 48,674 and 8,570 features':44} {peak:12.0f} MB at most")
        rows.append({"name": "set distances", "before_mb": before, "peak_mb": peak})
    return rows
