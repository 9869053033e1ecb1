import os
from pathlib import Path

import pytest

from jcdm.cli.options import read_config
from jcdm.config import Config, TestConfig
from jcdm.errors import ConfigError
from jcdm.plain import to_yaml

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*/*.yaml"))
MINIMAL = [
    "--run.out=out",
    "--data.index=index.json",
    "--data.height=64",
    "--data.width=48",
    "--encoders.vae=vae",
    "--encoders.image_encoder=clip",
    "--optim.learning_rate=1e-3",
    "--train.num_steps=4",
    "--train.batch_size=2",
]


def read(*options: str) -> Config:
    return read_config(Config, [*MINIMAL, *options], prog="jcdm")


@pytest.mark.parametrize(
    "path",
    [p for p in CONFIGS if p.parent.name != "accelerate" and p.name != "rows.yaml"],
    ids=lambda p: str(p.parts[-2:]),
)
def test_every_shipped_configuration_is_read(path, monkeypatch):
    monkeypatch.setenv("JCDM_DATA", "/data")
    kind = TestConfig if path.name.startswith("sample") else Config
    assert read_config(kind, ["--config", str(path)], prog="jcdm").run.out.is_absolute()


def test_options_win_over_the_file_and_the_file_over_defaults(tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text("train: {num_steps: 7, batch_size: 5}\n")
    config = read_config(
        Config, [*MINIMAL[:-2], "--train.batch_size=3", f"--config={file}"], prog="jcdm"
    )
    assert (config.train.num_steps, config.train.batch_size) == (7, 3)


def test_paths_of_a_file_are_relative_to_it_and_expand_variables(tmp_path, monkeypatch):
    monkeypatch.setenv("JCDM_DATA", "/data")
    file = tmp_path / "sub" / "a.yaml"
    file.parent.mkdir()
    file.write_text("run: {out: ../out}\ndata: {index: '${JCDM_DATA}/index.json'}\n")
    config = read_config(Config, [*MINIMAL[2:], "--config", str(file)], prog="jcdm")
    assert config.run.out == tmp_path / "out"
    assert config.data.index == Path("/data/index.json")


def test_yaml_round_trip(tmp_path):
    config = read("--unet.block_out_channels=[64,96]", "--unet.attention_levels=[true,false]")
    file = tmp_path / "config.yaml"
    file.write_text(to_yaml(config, tmp_path))
    again = read_config(Config, ["--config", str(file)], prog="jcdm")
    where = lambda c: [os.path.abspath(p) for p in (c.run.out, c.data.index, c.encoders.vae)]  # noqa: E731
    assert where(again) == where(config)
    assert again.unet == config.unet and again.train == config.train


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--train.num_stepz=3", r"unknown key or option: --train\.num_stepz=3"),
        ("--train.num_steps=many", r"train\.num_steps: expected int, found many"),
        ("--data.visibility.kind=all", r"data\.visibility\.kind"),
        ("--train.num_steps=0", r"train\.num_steps must be >= 1"),
        ("--train.batch=3", r"unknown key or option"),
    ],
)
def test_a_wrong_option_is_named_in_one_line(option, message):
    with pytest.raises(ConfigError, match=message) as caught:
        read(option)
    assert "\n" not in str(caught.value)


def test_an_unknown_key_of_the_file_is_named_with_the_file(tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text("data: {hight: 3}\n")
    with pytest.raises(ConfigError, match=r"data\.hight.*a\.yaml"):
        read("--config", str(file))


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "not found"), ("a: [", "cannot be read"), ("- 1", "no keys"), ("", "no keys")],
)
def test_a_file_that_is_no_configuration(tmp_path, content, message):
    file = tmp_path / "a.yaml"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigError, match=message):
        read("--config", str(file))


def test_missing_keys_are_named():
    with pytest.raises(ConfigError, match=r"missing keys: run\.out, data\.index"):
        read_config(Config, [], prog="jcdm")


def test_a_missing_variable_is_named(tmp_path, monkeypatch):
    monkeypatch.delenv("JCDM_DATA", raising=False)
    file = tmp_path / "a.yaml"
    file.write_text("data: {index: '${JCDM_DATA}/i.json'}\n")
    with pytest.raises(ConfigError, match="needs the environment variable JCDM_DATA"):
        read("--config", str(file))


def test_a_dry_run_may_leave_a_variable_unset(tmp_path, monkeypatch):
    monkeypatch.delenv("JCDM_DATA", raising=False)
    file = tmp_path / "sub" / "a.yaml"
    file.parent.mkdir()
    file.write_text("run: {out: ../out}\ndata: {index: '${JCDM_DATA}/i.json'}\n")
    options = [*MINIMAL[2:], "--config", str(file)]
    config = read_config(Config, options, prog="jcdm", keep_unset=True)
    assert config.data.index == Path("${JCDM_DATA}/i.json")
    assert config.run.out == tmp_path / "out"
