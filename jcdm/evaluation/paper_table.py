"""The paper table: our scores beside those that papers print, and which of them may be compared.

A score depends on the code that computed it: resize filter, reference pictures, window and sigma.
Rows of one code are comparable; all others carry a mark.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from jcdm.errors import ConfigError
from jcdm.evaluation.metrics import ARROWS, Direction
from jcdm.reading import parse_yaml

PUBLISHED = "published_scores.yaml"
PRINTED: Mapping[str, Direction] = {  # what papers print, in its order; which way is better
    "SSIM": "up",
    "SSIM-51": "up",
    "SSIM-256": "up",
    "LPIPS": "down",
    "FID": "down",
    "KID": "down",
    "PSNR": "up",
    "MAE": "down",
    "L1": "down",
}
COLUMNS: Mapping[str, Direction] = {
    **PRINTED,
    "mask-SSIM-51": "up",
    "mask-SSIM-256": "up",
    "mask-PSNR": "up",
    "mask-LPIPS": "down",
    "face SSIM": "up",
    "face LPIPS": "down",
    "garment SSIM": "up",
    "garment ΔE": "down",
    "CLIP-I": "up",
    "PCKh": "up",
    "OKS": "up",
    "view agreement": "zero",
    "garment ΔE between views": "zero",
}
DIGITS = {"FID": 3, "PSNR": 3, "mask-PSNR": 3, "garment ΔE": 3}
UNKNOWN = "unknown"
FORMATS = {"md": "paper_table.md.j2", "tex": "paper_table.tex.j2", "html": "paper_table.html.j2"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperRow:
    """A method's scores. code: whose metric code computed them; source: where they stand.

    intervals: lowest and highest value that a score's mean may have, where that is known.
    """

    method: str
    scores: Mapping[str, float] = field(hash=False)
    code: str
    source: str
    note: str = ""
    is_ours: bool = False
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperTable:
    """Published rows, then ours, for one benchmark; columns are names of scores."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[PaperRow, ...]

    @property
    def our_codes(self) -> tuple[str, ...]:
        """The codes that computed our rows."""
        return tuple(dict.fromkeys(row.code for row in self.rows if row.is_ours))

    def mark(self, row: PaperRow) -> str:
        """Mark a published row: `*` = another code than ours, `?` = its code is not known."""
        if row.is_ours or row.code in self.our_codes:
            return ""
        return "?" if row.code == UNKNOWN else "*"

    def cell(self, row: PaperRow, column: str) -> str:
        """Write one score with the digits that papers print, a dash where there is none."""
        value = row.scores.get(column)
        return "-" if value is None else _digits(value, column)

    def interval(self, row: PaperRow, column: str) -> str:
        """Write the interval of a score as [low, high]; empty where there is none."""
        bounds = row.intervals.get(column) if column in row.scores else None
        return f"[{', '.join(_digits(bound, column) for bound in bounds)}]" if bounds else ""

    @property
    def has_marks(self) -> bool:
        """Whether a row was computed by another code than ours, or nobody knows by which."""
        return any(self.mark(row) for row in self.rows)


def benchmarks() -> tuple[str, ...]:
    """Name the benchmarks that published scores are known for."""
    return tuple(_published())


def build_table(benchmark: str | None, ours: Sequence[PaperRow]) -> PaperTable:
    """Put our rows beside the published ones, or alone where no benchmark is named.

    Errors: ConfigError for an unknown benchmark.
    """
    entry: dict[str, Any] = {"title": "Our rows; no benchmark is named", "rows": []}
    if benchmark is not None:
        published = _published()
        if benchmark not in published:
            raise ConfigError(
                f"benchmark {benchmark!r} is unknown; expected one of {', '.join(published)}."
            )
        entry = published[benchmark]
    rows = (*(_published_row(row) for row in entry["rows"]), *ours)
    known = [name for name in COLUMNS if any(name in row.scores for row in rows)]
    more = dict.fromkeys(name for row in ours for name in row.scores if name not in COLUMNS)
    return PaperTable(title=entry["title"], columns=(*known, *more), rows=rows)


def build_tables(benchmark: str | None, ours: Sequence[PaperRow]) -> list[PaperTable]:
    """Lay our rows out: scores that papers print beside theirs, all others in a table of ours."""
    names = dict.fromkeys(name for row in ours for name in row.scores)
    papers = [name for name in names if name.split(" (")[0] in PRINTED]
    others = [name for name in names if name not in papers]
    tables = [build_table(benchmark, [_only(row, papers) for row in ours])]
    if others:
        table = build_table(None, [_only(row, others) for row in ours])
        tables.append(replace(table, title="Scores that papers seldom print"))
    return tables


def render_table(table: PaperTable, kind: str) -> str:
    """Write a table as `md`, `tex` or `html`."""
    environment = Environment(
        loader=PackageLoader("jcdm.evaluation"),
        undefined=StrictUndefined,
        autoescape=kind == "html",
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["latex"] = _latex
    headings = {name: ARROWS[COLUMNS[name]] if name in COLUMNS else "" for name in table.columns}
    return environment.get_template(FORMATS[kind]).render(table=table, headings=headings)


def write_tables(tables: Sequence[PaperTable], folder: Path) -> list[Path]:
    """Write tables, one below the other, in all formats into `folder`; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for kind in FORMATS:
        files.append(folder / f"table.{kind}")
        text = "\n".join(render_table(table, kind) for table in tables)
        files[-1].write_text(text, encoding="utf-8")
    return files


def _published() -> dict[str, Any]:
    text = resources.files("jcdm.evaluation").joinpath(PUBLISHED).read_text(encoding="utf-8")
    return parse_yaml(text)


def _published_row(entry: Mapping[str, Any]) -> PaperRow:
    return PaperRow(
        method=entry["method"],
        scores={name: entry[name] for name in COLUMNS if name in entry},
        code=entry["code"],
        source=entry["printed"],
        note=entry.get("note", ""),
    )


def _only(row: PaperRow, names: Sequence[str]) -> PaperRow:
    return replace(row, scores={name: row.scores[name] for name in names if name in row.scores})


def _digits(value: float, column: str) -> str:
    return f"{value:.{DIGITS.get(column, 4)}f}"


def _latex(text: str) -> str:
    """Escape what LaTeX reads as commands."""
    words = ("textbackslash", "textasciicircum", "textasciitilde")
    specials = {sign: f"\\{word}{{}}" for sign, word in zip("\\^~", words, strict=True)}
    specials |= {sign: f"\\{sign}" for sign in "&%$#_{}"}
    return "".join(specials.get(sign, sign) for sign in text)
