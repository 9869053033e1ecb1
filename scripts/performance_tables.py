"""Write the tables of docs/performance.md: measured ones from JSON of `bench`, and computed ones.

python scripts/performance_tables.py --write docs/performance.md [--measured a.json b.json ...]

Text between the marks `<!-- measured -->` or `<!-- computed -->` and the next `<!-- end -->` is
replaced; without --write the tables are printed. Takes a quarter of an hour, most of it computed
memory; `--skip_computed` leaves those as they are.
"""

import argparse
import re
from pathlib import Path

from jcdm.bench.tables import computed_tables, measured_tables
from jcdm.cli.options import read_config
from jcdm.config import Config

CONFIGS = Path(__file__).parents[1] / "configs" / "deepfashion"
RUNS = {"prior": "stage1_prior", "denoiser": "stage2_denoiser", "motion": "stage2_motion"}


def main() -> None:
    """Make the tables and print them or put them in their place."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path)
    parser.add_argument("--measured", type=Path, nargs="*", default=[])
    parser.add_argument("--skip_computed", action="store_true")
    options = parser.parse_args()
    found: dict[str, str] = {}
    if options.measured:
        found["measured"] = "\n\n".join(measured_tables(options.measured))
    if not options.skip_computed:
        configs = {kind: _config(name) for kind, name in RUNS.items()}
        found["computed"] = "\n\n".join(computed_tables(configs))
    for mark, text in found.items():
        if options.write is None:
            print(text, end="\n\n")
        else:
            _replace(options.write, mark, text)


def _config(name: str) -> Config:
    file = CONFIGS / f"{name}.yaml"
    return read_config(Config, [], prog=name, default_config=str(file), keep_unset=True)


def _replace(file: Path, mark: str, text: str) -> None:
    content = file.read_text(encoding="utf-8")
    pattern = re.compile(rf"(<!-- {mark} -->\n).*?(<!-- end -->)", re.DOTALL)
    changed, count = pattern.subn(lambda m: f"{m[1]}{text}\n{m[2]}", content)
    if count != 1:
        raise SystemExit(f"{file}: found {count} places for <!-- {mark} -->; expected one.")
    file.write_text(changed, encoding="utf-8")


if __name__ == "__main__":
    main()
