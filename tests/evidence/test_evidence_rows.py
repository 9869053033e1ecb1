"""All kinds of rows from the command line: trained, scored, written, not computed twice, tabled."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
import yaml
from evidence_world import HEIGHT, WIDTH, make_evidence
from PIL import Image

from jcdm.cli.main import main
from jcdm.config import DataConfig
from jcdm.errors import ConfigError, DataError
from jcdm.evidence import row_kinds, workbench
from jcdm.evidence.document import BETTER, misranked, row_table
from jcdm.evidence.parallel import Job, JobBoard, _prepare, plan_jobs, run_rows
from jcdm.evidence.pictures import save_curves
from jcdm.evidence.plan import read_plan
from jcdm.evidence.row_files import Result, RowFile, missing_seeds, read_row, write_row
from jcdm.evidence.row_parts import add_to_row
from jcdm.evidence.tally import Estimate
from jcdm.evidence.trainings import training_config
from jcdm.evidence.workbench import Bench
from jcdm.manifest import FIELDS
from jcdm.pools import process_pool
from jcdm.training.run_lock import only_training

REPOSITORY = Path(__file__).resolve().parents[2]
SETTINGS = {"preset": "standard", "num_steps": 1, "prior_steps": 1}


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where all rows have been computed."""
    folder = tmp_path_factory.mktemp("evidence")
    plan = make_evidence(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workbench, "SETTINGS", SETTINGS)
        assert main(["evidence", "run", *words(plan)]) == 0
    return folder


def words(plan: Path) -> list[str]:
    folder = plan.parents[1]
    return [
        *("--plan", str(plan), "--results", str(folder / "results")),
        *("--out", str(folder / "out"), "--weights", str(folder / "weights")),
    ]


def test_every_row_has_its_results(evidence: Path) -> None:
    rows = {f.stem: read_row(f) for f in (evidence / "results").glob("*.json")}
    assert set(rows) == {
        *("calibration", "naive", "as_they_are", "mismatch", "prior", "base", "prefix", "motion")
    }
    base = {(r.seed, r.variant, r.task) for r in rows["base"].results}
    assert base == {(s, v, "references_2") for s in (0, 1) for v in ("two", "one")}
    assert len({json.dumps(r.scores["PSNR"].mean) for r in rows["base"].results}) == 4
    assert {r.variant for r in rows["prior"].results} == {"prediction", "mean of the references"}
    assert "change error" in rows["motion"].results[0].scores
    provenance = rows["base"].provenance
    assert provenance["benchmark"]["seed"] == 5 and len(provenance["people"]) == 64
    assert set(provenance) >= {"code", "versions", "hardware", "minutes", "settings"}
    assert set(FIELDS) < set(provenance)
    for seed, part in enumerate((*provenance["before"], provenance)):
        assert set(part["weights"]) == {
            *("pipeline", f"prior of seed {seed}", f"denoiser of seed {seed}")
        }
        assert part["config"]["seeds"] == [seed] and part["seed"] == seed
    assert set(provenance["trainings"]) == {"base", "prior"}
    assert provenance["trainings"]["base"]["train"]["num_steps"] == 2
    known = {name for row in rows.values() for r in row.results for name in r.scores}
    assert known <= set(BETTER), "a score without a direction"


def test_a_row_without_a_training_tries_the_weights_as_they_are(evidence: Path) -> None:
    shipped, base = (
        read_row(evidence / "results" / f"{n}.json").results for n in ("as_they_are", "base")
    )
    assert [r.seed for r in shipped] == [None]
    settings = read_row(evidence / "results" / "as_they_are.json").provenance["settings"]
    assert settings["prior_steps"] == 3, "as weights/sampling.json advises"
    (mismatch,) = read_row(evidence / "results" / "mismatch.json").results
    assert mismatch.scores["PSNR"] != shipped[0].scores["PSNR"]
    assert shipped[0].scores["PSNR"] not in [r.scores["PSNR"] for r in base if r.variant == "two"]


def test_trainings_share_predictions_where_they_see_the_same_people(evidence: Path) -> None:
    kept = {folder.name for folder in (evidence / "out" / "predicted").iterdir() if folder.is_dir()}
    assert kept == {"prior_0", "prior_1", "prefix_0", "motion_prior_0"}
    plan = read_plan(REPOSITORY / "configs" / "evidence" / "rows.yaml")
    seen: dict[Path, DataConfig] = {}
    for name, training in plan.trainings.items():
        config = training_config(plan, name, 0, Path("out"))
        if training.uses is not None and config.prior.predictions is not None:
            assert seen.setdefault(config.prior.predictions, config.data) == config.data, name
    assert len(seen) == 3, "of the base, of references in the first cells, of sequences"


def test_jobs_wait_for_what_they_need(evidence: Path) -> None:
    jobs = plan_jobs(
        read_plan(evidence / "configs" / "rows.yaml"), {"motion": (0,), "naive": (None,)}
    )
    prior, base, motion = (Job(name=n, seed=0) for n in ("prior", "base", "motion"))
    row, naive = Job(name="motion", seed=0, is_row=True), Job(name="naive", is_row=True)
    assert jobs == {prior: (), base: (prior,), motion: (base,), row: (motion,), naive: ()}
    board = JobBoard(waiting=jobs)
    assert board.take(1) == [naive], "rows first"
    assert board.take(2) == [prior] and board.take(2) == []
    board.close(prior, None)
    assert board.take(2) == [base]
    board.close(base, ConfigError("too large"))
    assert board.take(2) == [] and isinstance(board.error, ConfigError), "what needs it waits"


def test_an_error_of_a_job_is_told_at_the_end(evidence: Path, tmp_path: Path) -> None:
    plan = read_plan(evidence / "configs" / "rows.yaml")
    broken = replace(plan.trainings["prior"], options=("--train.num_step=3",))
    plan = replace(plan, trainings={**plan.trainings, "prior": broken})
    bench = Bench(plan=plan, out=tmp_path, results=tmp_path / "rows", weights=evidence / "weights")
    with pytest.raises(ConfigError, match="num_step"):
        run_rows(bench, {"prior": (0,), "calibration": (None,)}, 2)
    assert [file.name for file in (tmp_path / "rows").iterdir()] == ["calibration.json"]


def test_rows_computed_at_once_train_alike(evidence: Path, tmp_path: Path) -> None:
    plan = evidence / "configs" / "rows.yaml"
    places = ["--results", str(tmp_path / "results"), "--out", str(tmp_path / "out")]
    options = [*words(plan)[:2], *places, "--weights", str(evidence / "weights")]
    assert (
        main(["evidence", "run", *options, "--row", "base", "--jobs", "2", "--loaders", "1"]) == 0
    )
    assert len(read_row(tmp_path / "results" / "base.json").results) == 4
    for run in ("prior_0", "base_0", "base_1"):
        ours, theirs = (losses(out / "runs" / run) for out in (tmp_path / "out", evidence / "out"))
        assert ours == pytest.approx(theirs, rel=1e-3), run  # numbers of threads differ


def test_a_row_of_which_the_plan_asks_more_by_now_is_done_in_part(
    evidence: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = read_plan(evidence / "configs" / "rows.yaml")
    for name, row in plan.rows.items():
        found = read_row(evidence / "results" / f"{name}.json")
        assert missing_seeds(found, row) == (), name
        if row.training is not None:
            assert missing_seeds(found, replace(row, seeds=(*row.seeds, 7))) == (7,), name
    base, row = read_row(evidence / "results" / "base.json"), plan.rows["base"]
    assert missing_seeds(base, replace(row, tasks=("references_2", "far_poses"))) == (0, 1)
    more = {**row.variants, "three": {"num_steps": 3}}
    assert missing_seeds(base, replace(row, variants=more)) == (0, 1)
    other = {**row.variants, "two": {"num_steps": 3}}
    assert missing_seeds(base, replace(row, variants=other)) == (0, 1), "another way, same name"
    assert missing_seeds(base, replace(row, schedule="published")) == (0, 1)
    shipped = read_row(evidence / "results" / "as_they_are.json")
    published = replace(plan.rows["as_they_are"], schedule="published")
    assert missing_seeds(shipped, published) == (None,)
    written = yaml.safe_load((evidence / "configs" / "rows.yaml").read_text(encoding="utf-8"))
    written["rows"]["prior"]["seeds"] = [0, 1]
    file = tmp_path / "rows.yaml"
    file.write_text(yaml.safe_dump(written), encoding="utf-8")
    assert main(["evidence", "list", "--plan", str(file), *words(evidence / "x" / "y")[2:4]]) == 0
    assert "prior                in part    the prior" in capsys.readouterr().out


def test_jobs_share_the_processor() -> None:
    """The processor's cores are divided among as many jobs as run at once."""
    with process_pool(1, prepare=partial(_prepare, 1)) as pool:
        assert pool.submit(torch.get_num_threads).result() == 1


def test_a_signal_ends_all_jobs_with_their_state_saved(evidence: Path, tmp_path: Path) -> None:
    """Sent to the main process alone; the trainings would go on for hours."""
    plan = yaml.safe_load((evidence / "configs" / "rows.yaml").read_text(encoding="utf-8"))
    plan["configs"] = str(evidence / "configs")
    plan["common"]["denoiser"] = ["--train.num_steps=1000000"]
    file = tmp_path / "rows.yaml"
    file.write_text(yaml.safe_dump(plan), encoding="utf-8")
    out = tmp_path / "out"
    shutil.copytree(evidence / "out", out)
    runs = [out / "runs" / f"base_{seed}" for seed in (0, 1)]
    for run in runs:
        shutil.rmtree(run)
    options = [*("--plan", str(file), "--results", str(tmp_path / "results")), "--jobs", "2"]
    options += [*("--out", str(out), "--weights", str(evidence / "weights")), "--row", "base,naive"]
    command = [sys.executable, "-m", "jcdm", "evidence", "run", *options]
    process = subprocess.Popen(
        command, cwd=REPOSITORY, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        while not all((run / "metrics.jsonl").is_file() and losses(run) for run in runs):
            assert process.poll() is None, process.stderr.read()  # type: ignore[union-attr]
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    assert process.returncode == 1, said
    assert said.splitlines()[-1].startswith("jcdm: SIGTERM; the same command goes on"), said
    for run in runs:
        assert list((run / "checkpoints").glob("step_*/state.json")), "saved"
        assert not is_running(run), "its process has ended"


def is_running(run: Path) -> bool:
    """Whether a process still trains in a folder."""
    try:
        with only_training(run, is_main=True):
            return False
    except ConfigError:
        return True


def losses(run: Path) -> list[float]:
    rows = map(json.loads, (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines())
    return [row["loss"] for row in rows if "loss" in row]


def test_the_truth_is_best_in_the_calibration(evidence: Path) -> None:
    row = read_row(evidence / "results" / "calibration.json")
    means = {r.variant: {n: e.mean for n, e in r.scores.items()} for r in row.results}
    assert means["truth"]["SSIM"] == pytest.approx(1)
    assert means["truth"]["colour error"] == means["truth"]["perceptual (tiny)"] == 0
    assert means["another person, same pose"]["colour error"] > 5


def test_finished_rows_are_left_alone(
    evidence: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("jcdm.evidence.parallel.run_row", lambda *_: pytest.fail("again"))
    plan = evidence / "configs" / "rows.yaml"
    assert main(["evidence", "run", *words(plan)]) == 0
    assert main(["evidence", "list", *words(plan)[:4]]) == 0
    printed = capsys.readouterr().out
    assert printed.count("finished") >= 8 and "to do" not in printed
    assert main(["evidence", "run", *words(plan), "--people_seed", "6"]) == 1
    assert "computed on other people" in capsys.readouterr().err


def test_a_training_that_is_done_is_not_done_again(
    evidence: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jcdm.training.run.run_training", lambda *_: pytest.fail("trained again"))
    monkeypatch.setattr(workbench, "SETTINGS", SETTINGS)
    plan = evidence / "configs" / "rows.yaml"
    given = words(plan)
    given[3] = str(tmp_path)
    assert main(["evidence", "run", *given, "--row", "prior"]) == 0
    again, before = (read_row(f / "prior.json") for f in (tmp_path, evidence / "results"))
    assert again.results == before.results


def test_a_row_grows_by_the_seeds_that_it_lacks(
    evidence: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What was found of the other seed stays, to the letter, with where it came from."""
    monkeypatch.setattr(workbench, "SETTINGS", SETTINGS)
    whole = read_row(evidence / "results" / "base.json")
    half = tuple(replace(r, people={}) for r in whole.results if r.seed == 0)
    earlier = {**whole.provenance["before"][0], "minutes": 77.0}
    write_row(replace(whole, results=half, provenance=earlier), tmp_path)
    given = words(evidence / "configs" / "rows.yaml")
    given[3] = str(tmp_path)
    assert main(["evidence", "run", *given, "--row", "base", "--seeds", "[0]"]) == 0
    assert read_row(tmp_path / "base.json").results == half, "of what was asked all was there"
    assert main(["evidence", "run", *given, "--row", "base", "--seeds", "[1]"]) == 0
    grown = read_row(tmp_path / "base.json")
    assert grown.results == (*half, *(r for r in whole.results if r.seed == 1))
    assert grown.provenance["config"]["seeds"] == [1] and grown.provenance["seed"] == 1
    assert grown.provenance["before"] == [earlier]
    assert main(["evidence", "run", *given, "--row", "base", "--again", "true"]) == 0
    assert read_row(tmp_path / "base.json").results == whole.results
    given[3] = str(tmp_path / "one")
    assert main(["evidence", "run", *given, "--row", "base,naive", "--seeds", "[1]"]) == 0
    rows = {f.stem: read_row(f).results for f in (tmp_path / "one").glob("*.json")}
    assert {r.seed for r in rows["base"]} == {1} and {r.seed for r in rows["naive"]} == {None}
    capsys.readouterr()
    assert main(["evidence", "run", *given, "--row", "base", "--seeds", "[1,7]"]) == 1
    assert "--seeds has [7]; the row base has [0, 1]." in capsys.readouterr().err


def test_seeds_computed_in_another_way_are_not_put_into_one_row(
    evidence: Path, tmp_path: Path
) -> None:
    whole = read_row(evidence / "results" / "base.json")
    first, second = (
        replace(whole, results=tuple(r for r in whole.results if r.seed == seed)) for seed in (0, 1)
    )
    first.provenance["trainings"]["base"]["train"]["num_steps"] = 3
    write_row(first, tmp_path)
    other = read_row(evidence / "results" / "base.json").provenance
    part = replace(second, provenance=other)
    with pytest.raises(ConfigError, match=r"base\.train\.num_steps = 3, now it is 2"):
        add_to_row(part, tmp_path, tmp_path / "lock")
    with pytest.raises(ConfigError, match=r"base\.train\.num_steps = 3, now it is 2"):
        add_to_row(part, tmp_path, tmp_path / "lock", asked=[1])
    assert read_row(tmp_path / "base.json") == first
    add_to_row(part, tmp_path, tmp_path / "lock", asked=[0, 1])
    assert {r.seed for r in read_row(tmp_path / "base.json").results} == {1}, "0 is computed anew"


def test_a_row_painted_in_another_way_is_computed_again_whole_or_refused_at_once(
    evidence: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(workbench, "SETTINGS", {**SETTINGS, "prior_steps": 2})
    before = write_row(read_row(evidence / "results" / "base.json"), tmp_path).read_bytes()
    given = words(evidence / "configs" / "rows.yaml")
    given[3] = str(tmp_path)
    again = ["evidence", "run", *given, "--row", "base", "--again", "true"]
    with monkeypatch.context() as patch:
        patch.setattr("jcdm.evidence.parallel.ensure_trained", lambda *_: pytest.fail("trained"))
        patch.setitem(row_kinds.KINDS, "paint", lambda *_: pytest.fail("painted"))
        assert main([*again, "--seeds", "[1]"]) == 1
    assert "prior_steps = 1, now it is 2" in capsys.readouterr().err
    assert (tmp_path / "base.json").read_bytes() == before
    assert main(again) == 0
    row = read_row(tmp_path / "base.json")
    assert {r.seed for r in row.results} == {0, 1}
    assert row.provenance["before"][0]["settings"] == row.provenance["settings"]
    assert main([*again, "--people_seed", "6"]) == 1
    assert "computed on other people" in capsys.readouterr().err


def test_a_run_of_another_configuration_is_not_taken_for_the_plans(
    evidence: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = yaml.safe_load((evidence / "configs" / "rows.yaml").read_text(encoding="utf-8"))
    plan["configs"] = str(evidence / "configs")
    plan["common"]["prior"] = ["--optim.weight_decay=0.03"]
    file = tmp_path / "rows.yaml"
    file.write_text(yaml.safe_dump(plan), encoding="utf-8")
    given = words(evidence / "configs" / "rows.yaml")
    given[1], given[3] = str(file), str(tmp_path / "results")
    assert main(["evidence", "run", *given, "--row", "prior"]) == 1
    said = capsys.readouterr().err
    assert "prior_0 was trained with other values of optim.weight_decay" in said
    assert not (tmp_path / "results").exists()


def test_tables_go_between_their_marks(
    evidence: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "evidence.md"
    results = tmp_path / "results"  # without the calibration, which random weights fail
    shutil.copytree(evidence / "results", results, ignore=shutil.ignore_patterns("calibration*"))
    given = ["evidence", "document", "--plan", str(evidence / "configs" / "rows.yaml")]
    given += ["--results", str(results), "--write", str(file)]
    assert main(given) == 1
    assert "expected one" in capsys.readouterr().err
    marked = [
        f"<!-- {m} -->\nstale\n<!-- end {m} -->" for m in ("claims", "changes", "orders", "rows")
    ]
    capsys.readouterr()
    file.write_text("\n".join(["before", *marked, "after\n"]), encoding="utf-8")
    assert main([*given, "--others", str(evidence / "results")]) == 0
    assert capsys.readouterr().out == f"7 rows written to {file}; not finished: calibration\n"
    text = file.read_text(encoding="utf-8")
    assert text.startswith("before\n") and text.endswith("\nafter\n") and "stale" not in text
    assert "- colour error: " in text and "reversed" not in text
    assert "**base**: defaults" in text and "| two | references_2 | 2 |" in text
    assert "![base_references_2](" in text
    assert "| `base`, one | `base`, two | " in text and "| `prefix`, two | `base`, two | " in text
    assert ", 2 of 2 seeds" in text or ", 1 of 2 seeds" in text


def test_no_table_has_scores_that_rank_the_calibration_wrongly(
    evidence: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a VAE with random weights reconstructs is worse than other people."""
    file = tmp_path / "evidence.md"
    given = ["evidence", "document", *words(evidence / "configs" / "rows.yaml")[:4]]
    assert main([*given, "--write", str(file)]) == 1
    assert "calibration.json: PSNR, " in capsys.readouterr().err and not file.exists()


def test_the_first_people_are_shown(evidence: Path) -> None:
    with Image.open(evidence / "results" / "base_references_2.png") as sheet:
        assert sheet.width > 6 * 2 * WIDTH and sheet.height > 2 * HEIGHT


def test_curves_of_what_ends_in_a_number(tmp_path: Path) -> None:
    def result(variant: str, task: str) -> Result:
        scores = {"perceptual (tiny)": estimate(0.3), "colour error": estimate(9.0)}
        return Result(seed=0, variant=variant, task=task, scores=scores)

    def row(name: str, *results: Result) -> RowFile:
        return RowFile(name=name, about="", results=results, provenance={})

    steps = row("steps", result("DDIM 5", "t"), result("DDIM 12", "t"), result("UniPC 5", "t"))
    assert save_curves(steps, tmp_path) == tmp_path / "steps_curves.png"
    base = row("base", *(result("", f"references_{n}") for n in (1, 2, 3)))
    assert save_curves(base, tmp_path) == tmp_path / "base_curves.png"
    assert save_curves(row("other", result("one", "t"), result("two", "t")), tmp_path) is None
    two = row("two", *(result("", f"references_{n}") for n in (2, 3)))
    assert save_curves(two, tmp_path) is None
    assert len(list(tmp_path.iterdir())) == 2


def estimate(mean: float) -> Estimate:
    return Estimate(mean=mean, low=mean - 1, high=mean + 1, num_values=3)


def calibration(**values: tuple[float, float, float, float]) -> RowFile:
    names = ("truth", "VAE reconstruction", "another person, same pose", "right person, wrong pose")
    results = tuple(
        Result(
            seed=None,
            variant=variant,
            task="t",
            scores={name: estimate(found[i]) for name, found in values.items()},
        )
        for i, variant in enumerate(names)
    )
    return RowFile(name="calibration", about="", results=results, provenance={})


def test_scores_that_rank_wrongly_are_named() -> None:
    right = calibration(**{"SSIM": (1, 0.9, 0.5, 0.4), "colour error": (0, 2, 20, 3)})
    assert misranked(right) == []
    wrong = calibration(**{"SSIM": (1, 0.9, 0.95, 0.4), "colour error": (0, 4, 20, 3)})
    assert misranked(wrong) == ["SSIM", "colour error"]
    for reconstruction, unfit in ((23, []), (9, ["PSNR"])):
        found = calibration(PSNR=(0, reconstruction, 10, 8)).results
        infinite = replace(found[0], scores={})  # the truth's
        row = replace(calibration(), results=(infinite, *found[1:]))
        assert misranked(row) == unfit


def test_a_table_has_a_mean_over_seeds_and_the_widest_bounds() -> None:
    results = tuple(
        Result(seed=s, variant="", task="t", scores={"SSIM": estimate(m)})
        for s, m in ((0, 2.0), (1, 4.0))
    )
    table = row_table(RowFile(name="n", about="a", results=results, provenance={}))
    assert "| as it is | t | 2 | 3 (1 to 5) |" in table and "SSIM ↑" in table


def test_rows_survive_the_disk_and_damage_is_one_line(tmp_path: Path) -> None:
    row = calibration(SSIM=(1, 0.75, 0.5, 0.25))
    file = write_row(row, tmp_path)
    assert read_row(file) == row
    for text in ("", "[]", '{"format": "x", "version": 1}', "{}"):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(DataError, match="is no finished row"):
            read_row(file)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("rows: {a: {about: x, kind: paint}}\ncommon: {clothes: []}", "common has clothes"),
        ("rows: {a: {about: x, schedule: later}}", "expected one of trained"),
        ("rows: {a: {about: x, kind: dance}}", "expected one of paint"),
        ("rows: {a: {about: x, kind: naive, tasks: [upside_down]}}", "upside_down"),
        ("rows: {a: {about: x, kind: naive, variants: {b: {stepz: 1}}}}", "stepz"),
        ("rows: {a: {about: x, kind: naive, compared: [far_poses]}}", "does not try"),
        ("rows: {a: {kind: naive}}", "is no plan"),
        ("rows: []", "is no plan"),
        ("rows: {a: {about: x, training: none}}", "unknown here"),
    ],
)
def test_a_wrong_plan_is_one_line(tmp_path: Path, change: str, message: str) -> None:
    file = tmp_path / "rows.yaml"
    file.write_text(
        "benchmark: {seed: 1, num_people: 2, height: 32, width: 24}\n"
        "configs: .\ncommon: {}\ntrainings: {p: {stage: prior}}\n" + change,
        encoding="utf-8",
    )
    with pytest.raises(ConfigError, match=message):
        read_plan(file)


def test_the_plan_of_this_project_is_right() -> None:
    plan = read_plan(Path(__file__).parents[2] / "configs" / "evidence" / "rows.yaml")
    assert {"calibration", "naive", "base", "conditioning", "motion"} <= set(plan.rows)
    with pytest.raises(ConfigError, match="--row is 'x'; expected one of calibration"):
        plan.row("x")
