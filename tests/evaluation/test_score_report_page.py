"""The page about a scored folder: whole, offline, escaped, the same every time."""

import base64
import json
from collections.abc import Iterator
from dataclasses import asdict
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scored_world import World, make_world, write_scored

from jcdm.cli.evaluate_report import main
from jcdm.errors import ConfigError, DataError
from jcdm.evaluation.folder_scores import write_scores
from jcdm.evaluation.protocols.protocol import find_protocol
from jcdm.evaluation.protocols.results import ProtocolResult
from jcdm.evaluation.report import read_report, read_sections
from jcdm.evaluation.score_report import write_score_report
from jcdm.evaluation.scored_method import ScoredMethod
from jcdm.manifest import origin

VOID = ("meta", "img", "link", "br")


class Page(HTMLParser):
    """Collects what a browser would load and the words it would show; tags must be closed."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.words = ""
        self.open: list[str] = []
        self.targets: list[str] = []
        self.ids: list[str] = []
        self.feed(file.read_text(encoding="utf-8"))
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        assert tag not in ("script", "iframe", "object", "link")
        self.loaded += [v or "" for k, v in attrs if k in ("src", "srcset", "data", "poster")]
        self.targets += [v or "" for k, v in attrs if k == "href"]
        self.ids += [known["id"] or ""] if "id" in known else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def full(world: World) -> Path:
    return write_score_report(
        world.root / "full",
        world.scored,
        task=world.task,
        index=world.index,
        benchmark="deepfashion_256",
    )


@pytest.fixture(scope="module")
def bare(world: World) -> Path:
    return write_score_report(world.root / "bare", world.scored)


def plots(page: Path) -> set[str]:
    sections = read_report(page.parent)["sections"]
    files = (Path(figure["file"]) for section in sections for figure in section["figures"])
    return {file.stem for file in files if file.suffix == ".png"}


def section_named(page: Path, title: str) -> dict:
    sections = read_report(page.parent)["sections"]
    return next(section for section in sections if section["title"] == title)


def test_the_page_is_whole_and_loads_nothing(full: Path) -> None:
    text = full.read_text(encoding="utf-8")
    page = Page(full)
    assert "http" not in text and "url(" not in text and "@import" not in text
    assert len(page.loaded) == text.count("<img") > 24
    for address in page.loaded:
        kind, content = address.split(";base64,")
        picture = Image.open(BytesIO(base64.b64decode(content)))
        assert kind == f"data:image/{str(picture.format).lower()}"
    assert page.targets and set(page.targets) == {f"#{name}" for name in page.ids}


def test_every_plot_is_there_when_its_data_are(full: Path) -> None:
    assert plots(full) == {"histograms", "references", "categories", "pose_distance"}
    assert "No plot" not in Page(full).words


def test_without_index_a_sentence_stands_for_a_plot(bare: Path) -> None:
    assert plots(bare) == {"histograms", "categories"}
    words = Page(bare).words
    assert "how many references each target had is not known; name --task and --index" in words
    assert "have a known pose distance" in words
    assert "references and poses are not known" in words


def test_one_number_of_references_and_foreign_names_are_said(tmp_path: Path) -> None:
    world = make_world(tmp_path, num_references=(3,))
    page = write_score_report(tmp_path / "out", world.scored, task=world.task, index=world.index)
    assert plots(page) == {"histograms", "categories", "pose_distance"}
    assert "every target with known references had 3 of them" in Page(page).words
    foreign = tmp_path / "foreign"
    rows = [{"generated": "a.png", "truth": "a.png", "psnr": "20.5"}]
    for kind in ("generated", "truth"):
        (foreign / kind).mkdir(parents=True)
        Image.new("RGB", (22, 32), "red").save(foreign / kind / "a.png")
    write_scored(foreign / "scored", rows, foreign)
    page = write_score_report(foreign / "out", foreign / "scored")
    assert plots(page) == {"histograms"}
    assert "tell no garment category" in Page(page).words


def test_scores_stand_beside_published_ones_with_intervals(full: Path, bare: Path) -> None:
    words = " ".join(Page(full).words.split())
    scores = json.loads((full.parents[1] / "scored" / "scores.json").read_text())
    psnr, (low, high) = scores["scores"]["psnr"], scores["intervals"]["psnr"]
    assert f"{psnr:.3f} [{low:.3f}, {high:.3f}]" in words
    assert "PIDM?" in words and "ground truth" in words and "0.7312" in words
    assert "IMAGPose" not in Page(bare).words and "ground truth" in Page(bare).words
    text = full.read_text(encoding="utf-8")
    assert text.count('<tr class="ours">') == 1
    assert "protocol strict at 32 x 22; 24 pairs; 2 files left out; seed 3" in words
    assert "painted by pipeline weights/mine; scoring networks: alexnet alexnet.pth" in words
    assert "inception_antialias" in words and "fid left out: no weights." in words
    assert "abc123" in words


def test_scores_of_persons_have_a_table_of_their_own(world: World, tmp_path: Path) -> None:
    rows = [row | {"psnr_masked": 12.5} for row in world.rows]
    write_scored(tmp_path, rows, world.root, rows={"copied reference": {"psnr_masked": 9.25}})
    page = write_score_report(tmp_path / "out", tmp_path, benchmark="market")
    tables = [part["markdown"] for part in section_named(page, "Scores")["fragments"]]
    assert "PIDM?" in tables[0] and "mask-PSNR" not in tables[0]
    assert "PIDM?" not in tables[1] and "| Method | mask-PSNR ↑ |" in tables[1]
    assert "| copied reference | 9.250 |" in tables[1] and "12.500 [11.250, 13.750]" in tables[1]


def test_scoring_writes_what_the_report_reads(world: World, tmp_path: Path) -> None:
    names = [(row["generated"], row["truth"]) for row in world.rows]
    values = np.array([row["psnr"] for row in world.rows])
    result = ProtocolResult(
        protocol=asdict(find_protocol("strict")),
        size=(32, 22),
        per_pair={"psnr": values, "lpips": values[:16] / 50},
        more=(),
        aggregates={"psnr": float(values.mean()), "lpips": 0.4, "fid": 12.5},
        counts={"psnr": 24, "lpips": 16},
        reported={},
        lists={"pairs": [" ".join(pair) for pair in names]},
        dropped={"lpips": [" ".join(pair) for pair in names[16:]]},
        skipped={"x.png": "it is empty"},
    )
    method = ScoredMethod(
        result=result,
        seeds=(0, 1),
        spread={"psnr": 0.125},
        intervals={"psnr": (10.5, 20.5)},
        rows={"copied reference": {"psnr": 9.5}},
    )
    folders = {kind: str(world.root / kind) for kind in ("generated", "truth")}
    where = origin({}, seed=0, data={}, weights={})
    facts = {"folders": folders, "skipped_items": {"7": "bad"}}
    write_scores(tmp_path / "s", method, where, method="real", **facts)
    page = write_score_report(tmp_path / "out", tmp_path / "s")
    words = " ".join(Page(page).words.split())
    assert "[10.500, 20.500]" in words and "0.125" in words and "mean of 2 seeds" in words
    assert "seeds 0, 1" in words and "Values are of 2 seeds together" in words
    (left_out,) = section_named(page, "Left out, and notes")["listings"]
    assert left_out["rows"][:2] == [["item 7 of the task", "bad"], ["x.png", "it is empty"]]
    assert left_out["rows"][2][1] == "left out of LPIPS with the last partial batch"
    assert len(left_out["rows"]) == 2 + 8
    cards = section_named(page, "Worst 50 pairs")["cards"]
    assert len(cards) == 16 and cards[0]["title"].startswith("1. LPIPS ↓")


def test_what_was_left_out_is_listed_with_reasons(full: Path) -> None:
    (listing,) = section_named(full, "Left out, and notes")["listings"]
    assert listing["rows"] == [
        ["broken<i>.png", "it is empty"],
        ["lost.png", "no true picture has its name"],
    ]


def test_names_with_special_characters_are_shown_as_they_are(tmp_path: Path) -> None:
    name = "<img src=x>&\"'|_to_b.png"
    for kind, file in (("generated", name), ("truth", "b.png")):
        (tmp_path / kind).mkdir()
        Image.new("RGB", (22, 32)).save(tmp_path / kind / file)
    rows = [{"generated": name, "truth": "b.png", "ssim_256": "0.5"}]
    write_scored(tmp_path / "scored", rows, tmp_path)
    out = tmp_path / "out"
    page = Page(write_score_report(out, tmp_path / "scored"))
    assert name in page.words and "made <b>&" in page.words and "broken<i>.png" in page.words
    assert all(address.startswith("data:") for address in page.loaded)


def test_the_same_input_gives_the_same_bytes(world: World, full: Path) -> None:
    again = write_score_report(
        world.root / "again",
        world.scored,
        task=world.task,
        index=world.index,
        benchmark="deepfashion_256",
    )
    files = [file.relative_to(full.parent) for file in full.parent.rglob("*") if file.is_file()]
    assert len(files) > 30
    for file in files:
        assert (full.parent / file).read_bytes() == (again.parent / file).read_bytes(), file


def test_the_report_is_read_back(world: World, full: Path) -> None:
    sections = read_sections(full.parent)
    assert sections[0].title == "Scores"
    text = (full.parent / "report.md").read_text(encoding="utf-8")
    assert all(f"\n## {section.title}\n" in text for section in sections)
    json.loads((full.parent / "report.json").read_text(), parse_constant=pytest.fail)


def test_a_broken_score_file_is_one_line(world: World, tmp_path: Path) -> None:
    def damages() -> Iterator[tuple[str, str, str]]:
        yield "per_pair.csv", "generated,truth,psnr\n", "has no row"
        yield "per_pair.csv", "", "holds no values"
        yield "per_pair.csv", "generated,truth,psnr\na,b,much\n", "could not convert"
        yield "per_pair.csv", "generated,truth,psnr\na,b,nan\n", "no finite value"
        yield "scores.json", "{}", "holds no scores"

    for file, content, expected in damages():
        write_scored(tmp_path, world.rows, world.root)
        (tmp_path / file).write_text(content)
        with pytest.raises(DataError, match=expected) as caught:
            write_score_report(tmp_path / "out", tmp_path)
        assert "\n" not in str(caught.value)
    write_scored(tmp_path, world.rows, world.root, code=None)
    with pytest.raises(DataError, match="is incomplete"):
        write_score_report(tmp_path / "out", tmp_path)
    assert not (tmp_path / "out").exists()


def test_the_command_writes_the_page(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    out = world.root / "typed"
    words = ["--results", str(world.scored), "--out", str(out), "--index", str(world.index)]
    main([*words, "--generated", str(world.root / "generated")])
    assert capsys.readouterr().out == f"report: {out / 'report.html'}\n"
    with pytest.raises(ConfigError, match="nowhere, was not found; name it: --truth DIR"):
        main([*words, "--truth", "nowhere"])
    with pytest.raises(ConfigError, match="'fashion' is unknown"):
        main([*words, "--benchmark", "fashion"])
    with pytest.raises(ConfigError, match="name the index"):
        main([*words[:4], "--task", str(world.task)])
