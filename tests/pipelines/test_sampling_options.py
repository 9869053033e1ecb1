"""Options and presets: names, refusals, and what wins over what."""

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pipeline_factory as factory
import pytest

from jcdm.config import Precision, SampleConfig
from jcdm.diffusion import schedule
from jcdm.errors import ConfigError
from jcdm.pipelines.multiview import JCDMPipeline
from jcdm.pipelines.photographs import recommended_options
from jcdm.pipelines.sampling import (
    AUTO,
    BEST_SAMPLER,
    OWN,
    PRESETS,
    SamplingOptions,
    configured_options,
)


def build(**options: Any) -> JCDMPipeline:
    pipe = JCDMPipeline(**(factory.components() | options))
    pipe.set_progress_bar_config(disable=True)
    return pipe


def sampler_class(pipe: JCDMPipeline, **settings: Any) -> str:
    return type(pipe.build_sampler(pipe.choose_options(None, settings))).__name__


def test_exact_is_the_plain_path_of_the_trained_sampler() -> None:
    assert SamplingOptions.preset("exact") == SamplingOptions(sampler="ddim")
    plain = asdict(SamplingOptions())
    assert (plain["num_steps"], plain["guidance_scale"]) == (30, 2.0)
    assert not any(plain[name] for name in ("fixed_keys", "compile", "offload", "vae_tile"))
    assert plain["mixed_precision"] == "no" and SamplingOptions().guides_plainly


def test_low_memory_paints_what_standard_paints_in_smaller_pieces() -> None:
    small, standard = (asdict(SamplingOptions.preset(n)) for n in ("low-memory", "standard"))
    changed = {name for name in small if small[name] != standard[name]}
    assert changed == {"people_at_once", "vae_tile", "offload"}
    assert (small["people_at_once"], small["offload"]) == (1, True)


def test_fast_takes_fewer_steps_than_standard_and_standard_than_exact() -> None:
    steps = [SamplingOptions.preset(name).num_steps for name in ("fast", "standard", "exact")]
    assert steps == sorted(set(steps))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sampler": "heun"}, r"sampler is 'heun'; expected one of auto, own, ddim, "),
        ({"num_wings": 2}, r"unknown sampling setting 'num_wings'; expected some of num_steps, "),
        ({"guidance_start": 0.5, "guidance_end": 0.5}, r"guidance_start < guidance_end"),
        ({"guidance_end": 1.5}, r"guidance_end 1\.5"),
        ({"guidance_start": -0.1}, r"guidance_start is -0\.1"),
        ({"guidance_kept": 1.5}, r"guidance_kept is 1\.5; expected 0 to 1"),
        ({"people_at_once": 0}, r"people_at_once is 0; expected 1 or more"),
        ({"vae_tile": 0}, r"vae_tile is 0; expected 1 or more"),
        ({"mixed_precision": "half"}, r"mixed_precision is 'half'; expected one of no, bf16, fp16"),
    ],
)
def test_wrong_settings_are_refused_in_one_line(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as error:
        SamplingOptions.preset("standard", **change)
    assert "\n" not in str(error.value)
    with pytest.raises(ConfigError, match=words):
        build()(*factory.person(1), **change)


def test_an_unknown_preset_is_refused() -> None:
    with pytest.raises(ConfigError, match="preset is 'slow'; expected one of standard, exact, "):
        build()(*factory.person(1), preset="slow")


def test_the_best_sampler_replaces_what_weights_are_stored_with_and_nothing_else() -> None:
    pipe = build()
    best = type(schedule.swap_scheduler(BEST_SAMPLER, pipe.scheduler)).__name__
    assert sampler_class(pipe) == best
    assert sampler_class(pipe, sampler="ddim") == "DDIMScheduler"
    assert sampler_class(pipe, sampler=OWN) == "DDIMScheduler"
    assert type(pipe.scheduler).__name__ == "DDIMScheduler", "the pipeline keeps its own"
    pipe.scheduler = schedule.swap_scheduler("euler", pipe.scheduler)
    assert sampler_class(pipe) == "EulerDiscreteScheduler"
    pipe.scheduler = schedule.swap_scheduler("ddim", pipe.scheduler)
    assert sampler_class(pipe) == "DDIMScheduler", "set by hand"
    swapped = build(scheduler=pipe.build_sampler(SamplingOptions(sampler="euler")))
    assert sampler_class(swapped) == "EulerDiscreteScheduler"


def test_settled_options_name_the_sampler() -> None:
    pipe, auto = build(), SamplingOptions.preset("standard")
    assert auto.sampler == AUTO
    assert pipe.settle(auto).sampler == BEST_SAMPLER
    pipe.scheduler = schedule.swap_scheduler("euler", pipe.scheduler)
    assert pipe.settle(auto).sampler == OWN
    assert pipe.settle(SamplingOptions(sampler="unipc")).sampler == "unipc"


def test_published_schedules_keep_their_published_sampling() -> None:
    pipe = build()
    assert pipe.default_preset == "standard"
    pipe.choose_schedule("published")
    assert pipe.default_preset == "exact"
    options = pipe.choose_options(None, {})
    assert options.num_steps == 30 and options.guides_plainly
    scheduler = pipe.build_sampler(options)
    assert type(scheduler).__name__ == "DDIMScheduler"
    published = schedule.published_sampling()
    assert scheduler.alphas_cumprod.equal(published.alphas_cumprod)
    fast = pipe.build_sampler(pipe.choose_options("fast", {}))
    assert type(fast).__name__ == "UniPCMultistepScheduler"
    schedule.check_scheduler(fast, published)


def test_given_settings_win_over_advice_and_advice_over_the_preset(tmp_path: Path) -> None:
    file = tmp_path / "sampling.json"
    file.write_text(json.dumps({"num_steps": 3, "guidance_scale": 1.0, "sampler": "euler"}))
    found = recommended_options(tmp_path, "low-memory", guidance_scale=1.5, prior_steps=None)
    assert (found.num_steps, found.guidance_scale, found.sampler) == (3, 1.5, "euler")
    assert (found.people_at_once, found.prior_steps) == (1, 4)
    file.write_text(json.dumps({"num_wings": 3}))
    with pytest.raises(ConfigError, match=r"sampling\.json: unknown sampling setting 'num_wings'"):
        recommended_options(tmp_path)


def test_a_configuration_knows_the_same_names_as_the_options() -> None:
    hints = get_type_hints(SampleConfig)
    assert set(get_args(get_args(hints["preset"])[0])) == set(PRESETS)
    assert set(get_args(get_args(hints["scheduler"])[0])) == set(schedule.SAMPLERS)
    shared = {f.name for f in fields(SampleConfig)} & {f.name for f in fields(SamplingOptions)}
    assert {"num_steps", "guidance_start", "guidance_end", "vae_tile", "compile"} <= shared
    assert get_args(hints["mixed_precision"])[0] == Precision


def test_a_configuration_s_keys_win_over_its_preset() -> None:
    sample = SampleConfig(pipeline=Path("x"), preset="fast", guidance_end=0.5, prior_steps=3)
    found = configured_options(sample, "standard")
    expected = SamplingOptions.preset("fast", guidance_end=0.5, prior_steps=3)
    assert found == expected
    bare = configured_options(SampleConfig(pipeline=Path("x")), "exact")
    assert bare == SamplingOptions.preset("exact")
    chosen = SampleConfig(pipeline=Path("x"), preset="exact", scheduler="euler")
    assert configured_options(chosen, "standard").sampler == OWN, "loaded with that scheduler"


@pytest.mark.parametrize(
    "change", [{"num_steps": 0}, {"guidance_end": 2.0}, {"guidance_scale": -1.0}, {"vae_tile": 0}]
)
def test_a_configuration_refuses_impossible_numbers(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=rf"sample\.{next(iter(change))}"):
        SampleConfig(pipeline=Path("x"), **change)
