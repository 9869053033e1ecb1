"""Films are read frame by frame, upright and by their own clock, or at a rate that is asked for."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from film_files import grey, write_film
from PIL import Image

from jcdm.errors import ConfigError, DataError
from jcdm.pipelines.video import write_mp4
from jcdm.poses.film import FilmCut, read_film

LEVELS = (20, 60, 100, 140, 180, 220)
TIMES = (0.0, 0.1, 0.15, 0.6, 0.7, 1.0)  # unequally long


@pytest.fixture(scope="module")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("films") / "uneven.mp4"
    return write_film(path, [grey(level) for level in LEVELS], TIMES)


def levels(path: Path, **cut: float) -> list[tuple[float, int]]:
    """Time of every frame, and which of LEVELS it shows."""
    found = []
    for frame in read_film(path, FilmCut(**cut)):  # type: ignore[arg-type]
        mean = np.asarray(frame.picture).mean()
        found.append((round(frame.seconds, 3), int(np.abs(np.array(LEVELS) - mean).argmin())))
    return found


def test_every_frame_comes_at_its_own_time(uneven: Path) -> None:
    assert levels(uneven) == [(t, i) for i, t in enumerate(TIMES)]


@pytest.mark.parametrize("fps", [2.0, 5.0, 10.0, 24.0])
def test_a_rate_shows_what_the_film_shows_at_each_moment(uneven: Path, fps: float) -> None:
    found = levels(uneven, fps=fps, end=1.0)
    assert [time for time, _ in found] == [round(k / fps, 3) for k in range(int(fps))]
    for time, number in found:
        assert number == max(i for i, begin in enumerate(TIMES) if begin <= time + 1e-6)


def test_a_cut_begins_and_ends_where_it_says(uneven: Path) -> None:
    assert levels(uneven, start=0.15, end=0.7) == [(0.15, 2), (0.6, 3)]
    assert levels(uneven, start=0.3, end=0.7, fps=10) == [(0.3, 2), (0.4, 2), (0.5, 2), (0.6, 3)]
    assert levels(uneven, max_frames=2) == [(0.0, 0), (0.1, 1)]
    assert levels(uneven, fps=10, start=0.1, max_frames=2) == [(0.1, 1), (0.2, 2)]


def test_a_written_film_lasts_as_long_as_it_has_frames(tmp_path: Path) -> None:
    film = write_mp4([Image.fromarray(grey(level)) for level in LEVELS], tmp_path / "f.mp4", 8)
    assert [number for _, number in levels(film)] == list(range(6))
    assert [number for _, number in levels(film, fps=8)] == list(range(6))
    assert [number for _, number in levels(film, fps=16)] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert [number for _, number in levels(film, fps=4)] == [0, 2, 4]


@pytest.mark.parametrize(
    ("rotation", "corner"), [(None, (0, 0)), (90, (1, 0)), (-90, (0, 1)), (180, (1, 1))]
)
def test_a_film_is_turned_as_a_player_turns_it(
    tmp_path: Path, rotation: int | None, corner: tuple[int, int]
) -> None:
    marked = grey(0)
    marked[:8, :8] = 255  # top left as stored
    film = write_film(tmp_path / "f.mp4", [marked] * 2, [0, 0.1], rotation=rotation)
    picture = next(read_film(film)).picture
    assert picture.size == ((48, 32) if rotation in (None, 180) else (32, 48))
    pixels = np.asarray(picture)[..., 0]
    row, column = corner
    assert pixels[-4 if row else 4, -4 if column else 4] > 200
    assert (pixels > 128).mean() == pytest.approx(64 / (32 * 48), abs=0.01)


def test_pixels_become_square(tmp_path: Path) -> None:
    film = write_film(tmp_path / "f.mp4", [grey(9)], [0], pixel_aspect=Fraction(4, 3))
    assert next(read_film(film)).picture.size == (64, 32)
    lying = write_film(tmp_path / "g.mp4", [grey(9)], [0], pixel_aspect=Fraction(4, 3), rotation=90)
    assert next(read_film(lying)).picture.size == (32, 64)


def test_files_that_are_no_films_are_refused_in_one_line(tmp_path: Path, uneven: Path) -> None:
    (tmp_path / "text.mp4").write_text("no film")
    (tmp_path / "half.mp4").write_bytes(uneven.read_bytes()[:400])
    for name, reason in {
        "text.mp4": "cannot be read as a film",
        "half.mp4": "cannot be read as a film",
        "missing.mp4": "not found",
    }.items():
        with pytest.raises(DataError, match=reason) as caught:
            list(read_film(tmp_path / name))
        assert name in str(caught.value) and "\n" not in str(caught.value)


def test_a_film_without_pictures_is_refused(tmp_path: Path) -> None:
    import av

    path = tmp_path / "sound.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
        container.mux(stream.encode())
    with pytest.raises(DataError, match="no pictures"):
        list(read_film(path))


def test_a_cut_behind_the_end_is_refused(uneven: Path) -> None:
    for fps in (None, 8.0):
        with pytest.raises(DataError, match=r"no frame from 30 s on"):
            list(read_film(uneven, FilmCut(start=30, fps=fps)))


@pytest.mark.parametrize(
    "cut",
    [{"fps": 0.0}, {"fps": float("nan")}, {"start": -1.0}, {"start": 2.0, "end": 2.0},
     {"max_frames": 0}, {"end": float("nan")}],
)  # fmt: skip
def test_an_impossible_cut_is_refused(cut: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="expected"):
        FilmCut(**cut)  # type: ignore[arg-type]


def test_without_pyav_one_line_says_what_to_install(
    uneven: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(ConfigError, match=r"jcdm\[video\]"):
        list(read_film(uneven))
