"""Whatever stands in a photograph's place: shown right, or refused in one line at no cost."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from damaged_files import BOMBS, DAMAGES, SIZE, encoded, half, picture, png
from PIL import EpsImagePlugin, Image, ImageFile

from jcdm.data.damage import find_damage
from jcdm.data.images import load_image
from jcdm.errors import DataError, MissingViewError


def shown(path: Path) -> np.ndarray:
    found = load_image(path)
    assert found.mode == "RGB"
    return np.asarray(found)


@pytest.mark.parametrize("kind", DAMAGES)
def test_damage_is_one_line_that_names_the_file(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.png"
    DAMAGES[kind](path)
    with pytest.raises(DataError) as caught:
        load_image(path)
    line = str(caught.value)
    assert str(path) in line and "\n" not in line
    assert isinstance(caught.value, MissingViewError) == (kind in ("gone", "dangling link"))
    assert find_damage([path, path]).keys() == {path}


@pytest.mark.parametrize("where", range(1, 10))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_a_file_cut_anywhere_is_refused(tmp_path: Path, kind: str, where: int) -> None:
    whole = encoded(kind)
    (tmp_path / "a.png").write_bytes(whole[: len(whole) * where // 10])
    with pytest.raises(DataError):
        load_image(tmp_path / "a.png")


@pytest.mark.parametrize("kind", BOMBS)
def test_a_bomb_is_refused_before_its_pixels(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where another package has switched Pillow's own limit off."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda _: pytest.fail("pixels were read"))
    (tmp_path / "a.png").write_bytes(BOMBS[kind])
    with pytest.raises(DataError, match=r"too many pixels"):
        load_image(tmp_path / "a.png")


def test_bombs_take_no_memory(tmp_path: Path) -> None:
    """All kinds in a process of its own: its peak stays where it was before the first."""
    for kind, content in BOMBS.items():
        (tmp_path / kind).write_bytes(content)
    code = (
        "import resource, sys; from jcdm.data.damage import look_at\n"
        "from pathlib import Path\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "look_at(Path(sys.argv[1])); before = peak()\n"
        "assert all(look_at(Path(name)) for name in sys.argv[2:])\n"
        "print(peak() - before)\n"
    )
    picture().save(tmp_path / "good.png")
    files = [str(tmp_path / name) for name in ("good.png", *BOMBS)]
    command = [sys.executable, "-c", code, *files]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 20_000, "KB more; the smallest bomb has 800 MB of pixels"


@pytest.mark.parametrize(("name", "kind"), [("a.jpg", "PNG"), ("a.png", "JPEG"), ("a", "WEBP")])
def test_what_a_file_is_called_does_not_matter(tmp_path: Path, name: str, kind: str) -> None:
    (tmp_path / name).write_bytes(encoded(kind))
    with Image.open(tmp_path / name) as found:
        assert (shown(tmp_path / name) == np.asarray(found.convert("RGB"))).all()


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_frame_is_shown(tmp_path: Path, kind: str) -> None:
    colours = ("red", "lime", "blue")
    first, *others = (Image.new("RGB", SIZE, colour) for colour in colours)
    path = tmp_path / "a.png"
    first.save(path, kind, save_all=True, append_images=others)
    with Image.open(path) as found:
        assert getattr(found, "n_frames", 1) == 3
    assert abs(shown(path).astype(int) - (255, 0, 0)).max() < 12


def test_bytes_behind_the_end_of_a_jpeg_are_no_fault(tmp_path: Path) -> None:
    """Cameras append previews and films, copies fill up blocks."""
    (tmp_path / "a.jpg").write_bytes(encoded("JPEG"))
    expected = shown(tmp_path / "a.jpg")
    for more in (bytes(5000), b"MotionPhoto" + half(encoded("JPEG"))):
        (tmp_path / "a.jpg").write_bytes(encoded("JPEG") + more)
        assert (shown(tmp_path / "a.jpg") == expected).all()


def test_a_thumbnail_s_end_is_not_the_picture_s(tmp_path: Path) -> None:
    thumbnail = b"Exif\0\0" + encoded("JPEG", quality=10)
    segment = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2) + thumbnail
    whole = encoded("JPEG")
    whole = whole[:2] + segment + whole[2:]
    path = tmp_path / "a.jpg"
    path.write_bytes(whole)
    shown(path)
    path.write_bytes(whole[:-900] + bytes(900))
    with pytest.raises(DataError, match="truncated"):
        load_image(path)


def test_broken_exif_turns_nothing_and_prints_nothing(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    draw = np.random.default_rng(0)
    for _ in range(50):
        junk = b"Exif\0\0" + draw.choice([b"II*\0", b"MM\0*", b""]) + draw.bytes(60)
        picture().save(tmp_path / "a.jpg", exif=junk)
        try:
            assert shown(tmp_path / "a.jpg").shape[:2] in (SIZE, SIZE[::-1])
        except DataError as error:
            assert "\n" not in str(error)
    assert not recwarn.list


def test_missing_pixels_are_never_filled_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where another package has told Pillow to do so."""
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    for kind in ("JPEG", "PNG"):
        (tmp_path / "a.png").write_bytes(half(encoded(kind)))
        with pytest.raises(DataError, match="truncated"):
            load_image(tmp_path / "a.png")
    assert ImageFile.LOAD_TRUNCATED_IMAGES


def test_no_program_is_started_for_a_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pillow hands PostScript to Ghostscript, whatever the file is called."""
    monkeypatch.setattr(EpsImagePlugin.EpsImageFile, "load", lambda *_: pytest.fail("it ran"))
    DAMAGES["postscript"](tmp_path / "a.jpg")
    with pytest.raises(DataError, match="not a picture"):
        load_image(tmp_path / "a.jpg")


def test_nobody_waits_for_a_pipe(tmp_path: Path) -> None:
    DAMAGES["pipe"](tmp_path / "a.png")
    signal.signal(signal.SIGALRM, lambda *_: pytest.fail("it waits"))
    signal.alarm(5)
    try:
        with pytest.raises(DataError, match="it is no file"):
            load_image(tmp_path / "a.png")
    finally:
        signal.alarm(0)


def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read every file")
    picture().save(tmp_path / "a.png")
    (tmp_path / "a.png").chmod(0)
    with pytest.raises(DataError, match="Permission denied"):
        load_image(tmp_path / "a.png")


def test_want_of_memory_or_handles_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.png").write_bytes(png(4, 4, data=bytes(52)))
    for error in (MemoryError(), OSError(24, "Too many open files")):

        def fail(_: object, *, error: Exception = error, **__: object) -> None:
            raise error

        monkeypatch.setattr(Image, "open", fail)
        with pytest.raises(type(error)):
            find_damage([tmp_path / "a.png"])


def test_processes_find_what_one_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    paths = [tmp_path / f"{number}.png" for number in range(40)]
    for number, path in enumerate(paths):
        path.write_bytes(encoded("PNG"))
        if number % 7 == 0:
            DAMAGES["zero bytes"](path)
    alone = find_damage(paths)
    monkeypatch.setattr("jcdm.data.damage.FEWEST_FOR_PROCESSES", 10)
    told: list[tuple[int, int]] = []
    shared = find_damage(paths, report=lambda done, count: told.append((done, count)))
    assert list(map(str, shared)) == list(map(str, alone)) and len(shared) == 6
    assert [str(e) for e in shared.values()] == [str(e) for e in alone.values()]
    assert told[-1] == (40, 40)
