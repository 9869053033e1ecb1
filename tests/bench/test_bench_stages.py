"""`bench` of stages, sampling and the cache, at the tiny size, from command to JSON file."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from jcdm.bench import cache, models, parts, sampling, unet
from jcdm.bench.models import build_stage, random_batch
from jcdm.bench.results import Goal, Shares
from jcdm.bench.setting import Bench, bench_setting
from jcdm.bench.sizes import TINY, BenchSize
from jcdm.bench.training_step import Learner, published_pictures, published_step
from jcdm.cli.main import main
from jcdm.errors import ConfigError

CPU = torch.device("cpu")
SETTING = Bench(size=TINY, device=CPU, num_repeats=1)
WITH_PATCHES = replace(TINY, jci=replace(TINY.jci, patch_grid=2))


def bench(word: str, out: Path) -> list[dict[str, Any]]:
    words = ["bench", word, "--size", "tiny", "--num_repeats", "1", "--json", str(out)]
    assert main(words) == 0
    document = json.loads(out.read_text())
    assert document["bench"] == word and document["settings"]["size"] == "tiny"
    return document["rows"]


def test_sampling_is_timed_in_the_precision_that_is_asked_for() -> None:
    for precision, dtype in (("no", torch.float32), ("bf16", torch.bfloat16)):
        setting = replace(SETTING, mixed_precision=precision)
        stage = build_stage(TINY, "denoiser", CPU)
        pipeline = models.build_pipeline(stage, layout="view")
        seen: set[torch.dtype] = set()
        block = pipeline.denoiser.unet.mid_block.resnets[0]
        block.register_forward_hook(lambda _, __, out, seen=seen: seen.add(out.dtype))
        batch = random_batch(TINY, "denoiser", num_people=1)
        assert sampling._painting(pipeline, batch, setting, "fast")() == 1
        assert seen == {dtype}


@pytest.fixture(autouse=True)
def few_people(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "_NUM_PEOPLE", 2)
    monkeypatch.setattr(parts, "_NUM_WORKERS", 0)
    monkeypatch.setattr(cache, "NUM_PEOPLE", 2)


@pytest.mark.parametrize("word", ["prior", "denoiser", "motion"])
def test_a_stage(word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = bench(word, tmp_path / "bench.json")
    kinds = [row["kind"] for row in rows]
    assert kinds.count("shares") == 1 and "comparison" in kinds
    facts = {row["name"]: row for row in rows if "name" in row}
    assert facts["peak memory"]["value"] > 100
    reached = facts[f"{word}: cached, of the matrix rate"]["value"]
    assert 0 < reached < 1.5
    shares = next(row for row in rows if row["kind"] == "shares")["seconds"]
    assert all(seconds > 0 for seconds in shares.values())
    assert ("prior sampling" in shares) == (word != "prior")
    goals = [row["name"] for row in rows if row["kind"] == "goal"]
    expected = {"prior": 1, "denoiser": 3, "motion": 0}
    assert len(goals) == expected[word], goals
    assert "times as fast" in capsys.readouterr().out


def test_sampling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "PRESETS", ("fast",))
    rows = bench("sample", tmp_path / "bench.json")
    goal = next(row for row in rows if row["kind"] == "goal")
    assert goal["value"] > 1.2, "fewer steps must be faster"


def test_cache(tmp_path: Path) -> None:
    rows = bench("cache", tmp_path / "bench.json")
    share = next(row for row in rows if row["kind"] == "goal")["value"]
    assert 0 < share < 1 and rows[0]["value"] > 0


def test_a_learner_moves_weights_and_averages() -> None:
    stage = build_stage(TINY, "prior", CPU)
    learner = Learner(stage, CPU)
    before = {name: p.detach().clone() for name, p in learner.parameters.items()}
    learner.step(random_batch(TINY, "prior"))
    assert any(not torch.equal(before[n], p) for n, p in learner.parameters.items())
    assert learner.averages.num_updates == 1
    assert all(p.grad is None for p in learner.parameters.values())


def test_the_published_step_embeds_all_its_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    embedded: list[int] = []
    plain = models.FrozenCLIPVision.embed

    def count(self: Any, pixels: torch.Tensor) -> torch.Tensor:
        embedded.append(len(pixels))
        return plain(self, pixels)

    monkeypatch.setattr(models.FrozenCLIPVision, "embed", count)
    for kind, num_pictures in (("prior", 12), ("denoiser", 4)):
        batch = random_batch(TINY, kind)
        step = published_step(kind, SETTING, batch)
        step()  # the first also meets the black picture
        embedded.clear()
        assert step() == len(batch.keys)
        assert sum(embedded) == num_pictures * len(batch.keys)


def test_published_pictures_are_true_masked_and_flags() -> None:
    batch = random_batch(TINY, "prior")
    true, masked, flags = published_pictures(batch).unflatten(0, (3, len(batch.keys), 4))
    assert torch.equal(true, batch.clip_pixels)
    assert torch.equal(masked[:, 0], batch.clip_pixels[:, 0]) and not masked[:, 1:].any()
    assert flags[:, 0].eq(1).all() and not flags[:, 1:].any()


def test_a_stage_with_patches_is_timed_from_its_cache() -> None:
    setting = replace(SETTING, size=WITH_PATCHES)
    shares = next(iter(parts.bench_parts("denoiser", setting)))
    assert isinstance(shares, Shares) and all(s > 0 for s in shares.seconds.values())
    assert len(list(unet.bench_unet(setting))) == 2


@pytest.mark.parametrize("size", [TINY, WITH_PATCHES])
def test_parts_timed_apart_learn_what_a_step_learns(size: BenchSize) -> None:
    """The gradient through the pieces is that of the whole."""
    stage = build_stage(size, "denoiser", CPU)
    train = replace(stage.config.train, drop_prior=0.0, drop_pose=0.0, drop_all=0.0)
    stage.config = replace(stage.config, train=train)
    torch.manual_seed(0)
    for parameter in stage.denoiser.pose_guider.conv_out.parameters():
        torch.nn.init.normal_(parameter)
    learner, batch = Learner(stage, CPU), random_batch(size, "denoiser")
    stage.step(batch).loss.backward()
    whole = {name: p.grad.clone() for name, p in learner.parameters.items() if p.grad is not None}
    stage.module.zero_grad(set_to_none=True)
    parts._denoiser_parts(learner, stage, batch, parts.Clock(CPU))
    assert {n for n, p in learner.parameters.items() if p.grad is not None} == set(whole)
    for name, gradient in whole.items():
        torch.testing.assert_close(
            learner.parameters[name].grad, gradient, rtol=1e-3, atol=1e-6, msg=name
        )


def test_shares_and_goals() -> None:
    shares = Shares(name="step", seconds={"a": 3.0, "b": 1.0}, whole=4.2)
    assert shares.share("a") == 0.75 and "75.0%" in shares.line and "4.2 s" in shares.line
    most = Goal(name="share", value=0.2, bound=0.1, at_least=False)
    assert not most.is_met and "NOT met" in most.line
    assert replace(most, value=0.1).is_met and replace(most, at_least=True).is_met


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--size", "huge"], "--size is 'huge'"),
        (["--device", "tpu"], "--device is 'tpu'; expected cpu or cuda"),
        (["--num_repeats", "0"], "--num_repeats and --num_threads must be 1 or more"),
        (["--mixed_precision", "int8"], "--mixed_precision is 'int8'"),
    ],
)
def test_wrong_options_are_one_line(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "prior", *words]) == 1
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_no_gpu_is_said() -> None:
    with pytest.raises(ConfigError, match="finds no GPU here"):
        bench_setting("tiny", "cuda", num_repeats=1)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("word", ["prior", "denoiser", "motion", "sample", "cache"])
def test_full_size_on_a_gpu(word: str, tmp_path: Path) -> None:
    words = ["--size", "full", "--device", "cuda", "--num_repeats", "1"]
    assert main(["bench", word, *words]) == 0
