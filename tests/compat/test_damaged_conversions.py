"""Randomly damaged files, given to the converter: one clear line, or the very same weights."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from jcdm.compat.components import Component, image_encoder_component, vae_component
from jcdm.compat.convert_official import OfficialFiles
from jcdm.compat.official_denoiser import DenoiserFiles, denoiser_component
from jcdm.compat.official_prior import prior_component
from jcdm.compat.provenance import compare_with_sums, describe_sources
from jcdm.errors import CheckpointError, JCDMError
from jcdm.logs import quiet_libraries
from tests.compat.official_world import FORMATS, SETTINGS, build_models, write_official

FEW_OR_MANY = [200, pytest.param(2800, marks=pytest.mark.slow)]
FEWEST_REFUSED = 5 / 7  # of all
WITHOUT_CHECKSUMS = (".safetensors", ".ckpt", ".json")  # .ckpt: the old pickles, written below
KINDS = ("zip", "old", "safetensors", "deepspeed")
ROLES = {  # how often: the last one takes longer
    "apm": 3,
    "denoising_unet": 3,
    "vae": 3,
    "sd15": 0.3,
    "prior_config": 0.3,
    "image_encoder": 4,
    "pose_guider": 1,
    "linear": 1,
    "motion": 0.2,
}


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, OfficialFiles]:
    models = build_models(motion=True)
    folder = tmp_path_factory.mktemp("worlds")
    with quiet_libraries():
        return {kind: write_official(folder / kind, models, kind) for kind in KINDS}


def plan(files: OfficialFiles, role: str) -> Component:
    """Plan the component that a file belongs to."""
    if role in ("apm", "prior_config"):
        return prior_component(files.apm, files.prior_config)
    if role == "vae":
        return vae_component(files.vae)
    if role == "image_encoder":
        return image_encoder_component(files.image_encoder)
    stage2 = DenoiserFiles(
        unet=files.denoising_unet,
        pose_guider=files.pose_guider,
        linear=files.linear,
        motion=files.motion if role == "motion" else None,
    )
    return denoiser_component(
        stage2,
        files.sd15,
        latent_channels=4,
        vae_factor=2,
        motion_config=SETTINGS.motion,
    )


def target(files: OfficialFiles, role: str, draw: random.Random) -> Path:
    """Choose a file of a role: a folder's configuration or its weights."""
    path = getattr(files, role)
    path = path / "unet" if role == "sd15" else path
    return draw.choice([file for file in path.iterdir()]) if path.is_dir() else path


def cut(content: bytearray, draw: random.Random) -> None:
    del content[draw.randrange(len(content)) :]


def flip(content: bytearray, draw: random.Random) -> None:
    content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)


def scramble(content: bytearray, draw: random.Random) -> None:
    start = draw.randrange(len(content))
    for place in range(start, min(start + 64, len(content))):
        content[place] = draw.randrange(256)


def blank(content: bytearray, draw: random.Random) -> None:
    start = draw.randrange(len(content))
    content[start : start + 64] = bytes(len(content[start : start + 64]))


def insert(content: bytearray, draw: random.Random) -> None:
    start = draw.randrange(len(content))
    content[start:start] = draw.randbytes(8)


DAMAGES: tuple[Callable[[bytearray, random.Random], None], ...] = (
    *(cut, flip, scramble, blank, insert),
)


def written(component: Component, folder: Path) -> dict[str, Tensor]:
    """Write a component, as a conversion does, and read its weights back."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    component.write(folder)
    found: dict[str, Tensor] = {}
    for file in (folder / component.name).glob("*.safetensors"):
        found |= load_file(file)
    return found


def same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> bool:
    return found.keys() == expected.keys() and all(
        torch.equal(tensor, expected[name]) for name, tensor in found.items()
    )


@pytest.mark.parametrize("count", FEW_OR_MANY)
def test_damaged_files_end_in_one_line(
    worlds: dict[str, OfficialFiles], tmp_path: Path, figure: Callable[[str], None], count: int
) -> None:
    """Formats without checksums cannot show a changed number: there, a list of sums does."""
    draw = random.Random(0)
    out = tmp_path / "out"
    expected: dict[tuple[str, str], Any] = {}
    refused = accepted = 0
    for _ in range(count):
        kind, role = draw.choice(KINDS), draw.choices(list(ROLES), list(ROLES.values()))[0]
        files = worlds[kind]
        if (kind, role) not in expected:
            expected[kind, role] = written(plan(files, role), out)
        path = target(files, role, draw)
        good = path.read_bytes()
        content = bytearray(good)
        draw.choice(DAMAGES)(content, draw)
        path.write_bytes(content)
        try:
            found = written(plan(files, role), out)
        except JCDMError as error:
            assert "\n" not in str(error) and len(str(error)) < 800
            refused += 1
        else:
            if path.suffix in WITHOUT_CHECKSUMS:
                assert finds_it(path, good, tmp_path)
            else:
                assert same(found, expected[kind, role]), (kind, role)
            accepted += 1
        finally:
            path.write_bytes(good)
    assert refused >= FEWEST_REFUSED * count and refused + accepted == count
    figure(
        f"{count:,} damaged files: {refused:,} refused in one line, the others seen by checksums"
    )


def finds_it(path: Path, good: bytes, folder: Path) -> bool:
    """Tell whether the checksums of the good file refuse the damaged one."""
    damaged = path.read_bytes()
    path.write_bytes(good)
    (source,) = describe_sources({"file": [path]})
    path.write_bytes(damaged)
    if damaged == good:
        return True
    sums = folder / "sums.txt"
    sums.write_text(f"{source['sha256']}  {source['file']}\n")
    with pytest.raises(CheckpointError, match="expected"):
        compare_with_sums(describe_sources({"file": [path]}), sums)
    return True


def test_swapped_names_end_in_one_line(worlds: dict[str, OfficialFiles], tmp_path: Path) -> None:
    """Names of weights of different shapes; equal shapes only a list of sums can tell apart."""
    draw = random.Random(1)
    files = worlds["zip"]
    for _ in range(60):
        role = draw.choice(("apm", "denoising_unet", "pose_guider", "linear", "motion"))
        path: Path = getattr(files, role)
        good = path.read_bytes()
        state = torch.load(path)
        one, other = draw.sample(list(state), 2)
        while state[one].shape == state[other].shape:
            one, other = draw.sample(list(state), 2)
        state[one], state[other] = state[other], state[one]
        FORMATS["zip"][0](state, path)
        with pytest.raises(CheckpointError) as caught:
            plan(files, role)
        path.write_bytes(good)
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)
