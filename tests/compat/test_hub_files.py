"""Weight files by local path, and by a name on the hub: nothing else is ever asked for."""

from pathlib import Path

import huggingface_hub
import pytest

from jcdm.compat.hub_files import local_file
from jcdm.errors import CheckpointError


def test_a_local_path_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda *_: pytest.fail("asked"))
    assert local_file(Path("a/b.pth")) == Path("a/b.pth")


def test_a_name_on_the_hub_is_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = []

    def download(repository: str, file: str) -> str:
        asked.append((repository, file))
        return str(tmp_path / "copy.pth")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    assert local_file(Path("hub:owner/name/folder/file.pth")) == tmp_path / "copy.pth"
    assert asked == [("owner/name", "folder/file.pth")]


def test_what_cannot_be_had_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: str) -> str:
        raise OSError("no\nnetwork")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fail)
    for name, expected in (
        ("hub:owner/name", "expected hub:owner/name/file"),
        ("hub:owner/name/file.pth", "cannot be downloaded: no network"),
    ):
        with pytest.raises(CheckpointError, match=expected) as caught:
            local_file(Path(name))
        assert "\n" not in str(caught.value)
