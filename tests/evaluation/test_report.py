import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jcdm.errors import DataError
from jcdm.evaluation.report import (
    Card,
    Figure,
    Fragment,
    Listing,
    Section,
    Table,
    read_report,
    read_sections,
    write_report,
)
from jcdm.records import Scores


def make_section(folder: Path, name: str = "Images") -> Section:
    folder.mkdir(parents=True, exist_ok=True)
    picture = folder / "sheet.png"
    Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(picture)
    rows = {
        "tried <b>": Scores(values={"PSNR": (21.5, 12), "SSIM": (0.71, 14)}),
        "copy": Scores(values={"SSIM": (0.5, 14)}),
    }
    return Section(
        title=name,
        intro="Unseen people.",
        weights="tiny weights",
        tables=(Table(title="Target views", rows=rows, highlight="tried <b>", notes=("Two.",)),),
        figures=(Figure(file=picture, caption="A sheet"),),
    )


class Addresses(HTMLParser):
    """Collects every address that a browser would load, and checks that tags are closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loaded += [v or "" for k, v in attrs if k in ("src", "srcset", "data")]
        self.loaded += [v or "" for k, v in attrs if k == "href" and tag != "a"]
        if tag not in ("meta", "img", "link", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def write(out: Path, *sections: Section) -> Path:
    return write_report(
        out, title="A test", intro="What was done.", sections=sections, manifest={"seed": 3}
    )


def test_the_page_holds_its_pictures_and_needs_no_network(tmp_path: Path) -> None:
    page = write(tmp_path, make_section(tmp_path)).read_text(encoding="utf-8")
    addresses = Addresses(page)
    assert addresses.open == []
    assert len(addresses.loaded) == 1
    assert addresses.loaded[0].startswith("data:image/png;base64,iVBOR")
    assert "http" not in page
    assert "url(" not in page
    assert "tried &lt;b&gt;" in page
    assert "21.5" in page
    assert "SSIM ↑" in page
    assert "Structural similarity" in page
    assert "L1 ↓" not in page


def test_json_and_markdown_hold_values_counts_formulas_and_manifest(tmp_path: Path) -> None:
    write(tmp_path, make_section(tmp_path))
    document = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    row = document["sections"][0]["tables"][0]["rows"][0]
    assert row["scores"]["PSNR"] == {"value": 21.5, "count": 12}
    assert [score["name"] for score in document["scores"]] == ["PSNR", "SSIM"]
    assert document["manifest"] == {"seed": 3}
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "| method | PSNR ↑ | SSIM ↑ |\n|---|---:|---:|\n| **tried <b>** | 21.5 (n=12) |" in text
    assert "\n| copy | - | 0.5 (n=14) |\n" in text
    assert "![A sheet](sheet.png)" in text
    assert '"seed": 3' in text


def test_reports_are_joined_from_their_folders(tmp_path: Path) -> None:
    for name in ("first", "second"):
        folder = tmp_path / name
        write(folder, make_section(folder, name))
    sections = [*read_sections(tmp_path / "first"), *read_sections(tmp_path / "second")]
    page = write(tmp_path / "joined", *sections).read_text(encoding="utf-8")
    assert re.findall(r"<h2>(first|second)</h2>", page) == ["first", "second"]
    files = [s["figures"][0]["file"] for s in read_report(tmp_path / "joined")["sections"]]
    assert len(set(files)) == 2
    assert all((tmp_path / "joined" / file).is_file() for file in files)
    assert read_sections(tmp_path / "joined")[0].tables == sections[0].tables


def test_listings_cards_and_fragments_are_shown_and_read_back(tmp_path: Path) -> None:
    photo = tmp_path / "photo.jpg"
    Image.new("RGB", (4, 4)).save(photo)
    listing = Listing(
        title="Found <i>",
        columns=("name", "count", "mean"),
        rows=(("a|b", 12345, 0.123456), ("c", None, 2.0)),
        is_folded=True,
    )
    section = Section(
        title="More",
        intro="Few words.",
        fragments=(Fragment(html="<p>made</p>", markdown="*made*"),),
        cards=(Card(file=photo, title="1. <u>", lines=("first", "second & last")),),
        listings=(listing,),
        notes=("A note.",),
    )
    out = tmp_path / "out"
    page = write(out, section).read_text(encoding="utf-8")
    addresses = Addresses(page)
    assert addresses.open == [] and addresses.loaded[0].startswith("data:image/jpeg;base64,")
    assert "<p>made</p>" in page and "<summary>Found &lt;i&gt;</summary>" in page
    assert "1. &lt;u&gt;" in page and "<span>second &amp; last</span>" in page
    assert "<td>12,345</td><td>0.1235</td>" in page and "<td>-</td><td>2</td>" in page
    assert "Weights:" not in page and "A note." in page
    text = (out / "report.md").read_text(encoding="utf-8")
    assert (
        "| name | count | mean |\n|---|---|---|\n| a\\|b | 12,345 | 0.1235 |\n| c | - | 2 |" in text
    )
    assert "*made*" in text and "**1. <u>** first; second & last" in text
    (back,) = read_sections(out)
    placed = out / "pictures" / f"01_{tmp_path.name}_photo.jpg"
    assert back == replace(section, cards=(replace(section.cards[0], file=placed),))


def test_reports_of_earlier_versions_are_read(tmp_path: Path) -> None:
    write(tmp_path, make_section(tmp_path))
    document = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    for key in ("fragments", "cards", "listings", "notes"):
        del document["sections"][0][key]
    (tmp_path / "report.json").write_text(json.dumps(document), encoding="utf-8")
    assert read_sections(tmp_path) == (make_section(tmp_path),)


def test_errors_name_the_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no report\.json"):
        read_report(tmp_path)
    (tmp_path / "report.json").write_text("{")
    with pytest.raises(DataError, match="is not JSON"):
        read_report(tmp_path)
    (tmp_path / "report.json").write_text('{"format": "other"}')
    with pytest.raises(DataError, match=r"expected .*jcdm-report"):
        read_report(tmp_path)
    section = make_section(tmp_path)
    section.figures[0].file.unlink()
    with pytest.raises(DataError, match=r"sheet\.png not found"):
        write(tmp_path / "out", section)
