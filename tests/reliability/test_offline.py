"""Nothing reaches out but what is asked for by `hub:`; the whole suite runs under this guard."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import network_guard
import pytest
from hostile_lists import write
from hostile_models import pipeline_file

from jcdm.cli.main import run
from jcdm.compat.hub_files import local_file
from jcdm.errors import JCDMError
from jcdm.models.denoiser import JCDMDenoiser
from jcdm.models.encoders import FrozenCLIPVision, FrozenVAE
from jcdm.pipelines.multiview import JCDMPipeline

WAYS = """
import asyncio, os, socket, subprocess, sys, urllib.request
far = ("192.0.2.1", 80)
inner = f"import socket; socket.socket().connect({far})"
for way in (
    lambda: socket.create_connection(("example.org", 80), 5),
    lambda: socket.socket().connect(far),
    lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", far),
    lambda: urllib.request.urlopen("http://192.0.2.1/", timeout=5),
    lambda: asyncio.run(asyncio.open_connection(*far)),
    lambda: subprocess.run([sys.executable, "-c", inner], check=True, capture_output=True),
):
    try:
        way()
    except (OSError, subprocess.CalledProcessError):
        print("refused")
"""


def guarded(log: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a process of its own whose attempts go to another log."""
    log.touch()
    found = {**os.environ, network_guard.LOG: str(log)}
    command = [sys.executable, "-c", *words]
    return subprocess.run(command, env=found, capture_output=True, text=True, timeout=300)


def test_every_way_out_is_refused_and_written_down(tmp_path: Path) -> None:
    done = guarded(tmp_path / "log", WAYS)
    assert done.stdout.split() == ["refused"] * 6, done.stderr
    assert len((tmp_path / "log").read_text(encoding="utf-8").splitlines()) == 6


def test_this_computer_may_be_talked_to() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        for host in ("127.0.0.1", "localhost"):
            socket.create_connection((host, port)).close()
    for end in socket.socketpair():
        end.close()


@pytest.mark.parametrize("prefix", ["", "hub:"])
def test_a_hub_name_alone_is_a_way_out_and_ends_in_one_line(
    tmp_path: Path,
    prefix: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Of three kinds of weights; the same name without `hub:` is that of a folder."""
    monkeypatch.setenv(network_guard.LOG, str(tmp_path / "log"))
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)  # the hub's library tries again
    name, before = f"{prefix}owner/name", 0
    for ask in (
        lambda: local_file(Path(f"{name}/x.pth")).stat(),
        lambda: FrozenVAE.from_folder(Path(name)),
        lambda: JCDMPipeline.from_pretrained(name),
    ):
        assert run(ask) == 1
        assert capsys.readouterr().err.strip().splitlines()[-1].startswith("jcdm: ")
        now = len(network_guard.attempts())
        assert (now > before) == bool(prefix)
        before = now
    assert all("huggingface.co" in line for line in network_guard.attempts())


@pytest.mark.parametrize(
    "name",
    [
        *("scheduler/scheduler_config.json", "prior_scheduler/scheduler_config.json"),
        *("vae/config.json", "image_encoder/config.json", "prior/config.json"),
        *("denoiser/config.json", "model_index.json"),
    ],
)
@pytest.mark.parametrize("content", ['"owner/name"', '["owner/name"]', "NaN"])
def test_a_file_cannot_name_what_is_fetched(tmp_path: Path, name: str, content: str) -> None:
    """diffusers takes a configuration that is a word for a name on the hub."""
    file, read = pipeline_file(name)(tmp_path)
    write(file, content)
    with pytest.raises(JCDMError):
        read()
    load = {
        "vae": FrozenVAE.from_folder,
        "image_encoder": FrozenCLIPVision.from_folder,
        "denoiser": JCDMDenoiser.from_pretrained,
    }.get(file.parent.name)
    if load is not None:
        with pytest.raises(JCDMError):
            load(file.parent)
    assert network_guard.attempts() == []


def test_no_switch_of_a_library_keeps_it_at_home() -> None:
    assert not {"HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "DIFFUSERS_OFFLINE"} & os.environ.keys()


def test_so_far_nothing_has_tried_to_connect(figure: Callable[[str], None]) -> None:
    """What comes after is looked at after each test, and once more at the end of the session."""
    found = network_guard.attempts()
    figure(f"{len(found)} connection attempts")
    assert found == []
