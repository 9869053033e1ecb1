"""`evaluate table`: scored folders beside what papers print."""

from collections.abc import Sequence
from pathlib import Path

from jcdm.cli.options import command_parser, parse_command

PROG = "python -m jcdm evaluate table"


def main(argv: Sequence[str]) -> None:
    """Print the paper table, and write it with --out."""
    parser = command_parser(PROG, "Put scores beside those that papers print.")
    parser.add_argument("--results", type=Path, nargs="+", required=True, help="scored folders")
    parser.add_argument("--benchmark", type=str, default="deepfashion_256")
    parser.add_argument("--out", type=Path | None, default=None, help="write table.md, .tex, .html")
    options = parse_command(parser, argv)
    from jcdm.evaluation.folder_scores import read_rows
    from jcdm.evaluation.paper_table import PaperRow, build_tables, render_table, write_tables

    rows: list[PaperRow] = []
    for folder in options.results:
        rows += [row for row in read_rows(folder) if row not in rows]
    tables = build_tables(options.benchmark, rows)
    print("\n\n".join(render_table(table, "md") for table in tables))
    if options.out is not None:
        for file in write_tables(tables, options.out):
            print(f"written: {file}")
