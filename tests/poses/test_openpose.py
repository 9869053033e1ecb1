"""OpenPose by controlnet-aux: its real networks, with weights that find coloured discs."""

import importlib.util
import pickle
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from safetensors.torch import save_file
from torch import Tensor

from jcdm.errors import CheckpointError, ConfigError, DataError
from jcdm.poses.openpose import OpenPose
from jcdm.poses.openpose_package import load_part

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("controlnet_aux") is None, reason="controlnet-aux is not installed"
)

GREY = 128
LIMBS = (  # start and end, and where the network's field of the limb has its x
    *((1, 2, 12), (1, 5, 20), (2, 3, 14), (3, 4, 16), (5, 6, 22), (6, 7, 24), (1, 8, 0)),
    *((8, 9, 2), (9, 10, 4), (1, 11, 6), (11, 12, 8), (12, 13, 10), (1, 0, 28)),
    *((0, 14, 30), (14, 16, 34), (0, 15, 32), (15, 17, 36)),
)
CELLS = np.array(  # column and row of every joint among 23 x 23 cells
    [
        *((8, 4), (8, 7), (6, 7), (5, 9), (4, 11), (10, 7), (11, 9), (12, 11), (7, 12)),
        *((7, 15), (7, 18), (9, 12), (9, 15), (9, 18), (7, 3), (9, 3), (6, 4), (10, 4)),
    ]
)
CELL = 8 / 184  # of the picture's height
HEIGHT_OF_PEAK, RADIUS, ANGLE = 0.8, 0.43, 0.85


def directions() -> np.ndarray:
    """Eighteen BGR directions far from each other: points of a spiral on the sphere."""
    turns = np.arange(18) + 0.5
    z = 1 - turns / 9
    flat, turn = np.sqrt(1 - z**2), np.pi * (1 + 5**0.5) * turns
    return np.stack([flat * np.cos(turn), flat * np.sin(turn), z], axis=1)


def colours() -> np.ndarray:
    """RGB of the joints' discs on grey: (18,3)."""
    return np.rint(GREY + 256 * RADIUS * directions())[:, ::-1].astype(int)


def body_weights() -> dict[str, Tensor]:
    """Weights under which map k is high where the picture has the colour of joint k.

    The first layer tells the colours apart, the others hand its answers on; the limbs' fields point
    everywhere along the drawn limbs.
    """
    model = load_part("body").bodypose_model()
    weights = {
        name.partition(".")[2]: torch.zeros_like(t) for name, t in model.state_dict().items()
    }
    gain = HEIGHT_OF_PEAK / (RADIUS * (1 - ANGLE))
    weights["conv1_1.weight"][:18, :, 1, 1] = torch.tensor(gain * directions())
    weights["conv1_1.bias"][:18] = -gain * RADIUS * ANGLE
    trunk = ["1_2", "2_1", "2_2", "3_1", "3_2", "3_3", "3_4", "4_1", "4_2", "4_3_CPM", "4_4_CPM"]
    passing = [f"conv{name}" for name in trunk]
    passing += [f"Mconv{number}_stage6_L2" for number in range(2, 8)]
    for name in passing:
        kernel = weights[f"{name}.weight"]
        middle = kernel.shape[-1] // 2
        kernel[range(18), range(18), middle, middle] = 1
    first = weights["Mconv1_stage6_L2.weight"]
    first[range(18), range(57, 57 + 18), 3, 3] = 1  # after two kinds of maps come the features
    for start, end, place in LIMBS:
        along = (CELLS[end] - CELLS[start]) / np.linalg.norm(CELLS[end] - CELLS[start])
        weights["Mconv7_stage6_L1.bias"][place : place + 2] = torch.tensor(along)
    return weights


def places(shift: tuple[int, int] = (0, 0), width: float = 1.0) -> np.ndarray:
    """Middles of the joints' cells in [0,1] of a picture `width` times as wide as high: (18,2)."""
    return (CELLS + shift + 0.5) * CELL / (width, 1)


def draw(size: tuple[int, int], *shifts: tuple[int, int], without: int = -1) -> Image.Image:
    picture = Image.new("RGB", size, (GREY,) * 3)
    pen, radius = ImageDraw.Draw(picture), 0.014 * size[1]
    for shift in shifts:
        for number, place in enumerate(places(shift, size[0] / size[1])):
            x, y = place * size - 0.5
            if number != without:
                colour = tuple(colours()[number].tolist())
                pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
    return picture


@pytest.fixture(scope="module")
def body_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("openpose") / "body_pose_model.pth"
    torch.save(body_weights(), path)
    return path


@pytest.fixture(scope="module")
def openpose(body_file: Path) -> OpenPose:
    return OpenPose(body=body_file)


@pytest.mark.parametrize(
    ("size", "tolerance"),
    [((512, 512), 0.08), ((700, 600), 0.08), ((240, 300), 0.21)],  # enlarging sharpens the discs
)
def test_a_drawn_joint_comes_back_where_it_is(
    openpose: OpenPose, size: tuple[int, int], tolerance: float
) -> None:
    (person,) = openpose.detect(draw(size, (1, 1)))
    expected = places((1, 1), size[0] / size[1])
    assert person.body[:, :2] == pytest.approx(expected, abs=0.004)
    assert person.body[:, 2] == pytest.approx(HEIGHT_OF_PEAK, abs=tolerance)
    assert person.box == pytest.approx((*expected.min(axis=0), *expected.max(axis=0)), abs=0.004)
    assert person.hands is None and person.face is None


def test_two_people_come_apart(openpose: OpenPose) -> None:
    people = openpose.detect(draw((700, 500), (-2, 0), (13, 1)))
    assert len(people) == 2
    for person, shift in zip(sorted(people, key=lambda p: p.box), ((-2, 0), (13, 1)), strict=True):
        assert person.body[:, :2] == pytest.approx(places(shift, 1.4), abs=0.006)


def test_a_joint_that_is_not_there_has_no_confidence(openpose: OpenPose) -> None:
    (person,) = openpose.detect(draw((512, 512), (1, 1), without=4))
    assert person.body[4].tolist() == [0, 0, 0]
    assert (np.delete(person.body, 4, axis=0)[:, 2] > 0.5).all()


def test_nobody_is_an_empty_tuple(openpose: OpenPose) -> None:
    for size in ((1, 1), (1, 2)):
        assert openpose.detect(Image.new("RGB", size, (GREY,) * 3)) == ()


@pytest.mark.parametrize("size", [(300, 30), (30, 300)])
def test_a_strip_is_refused(openpose: OpenPose, size: tuple[int, int]) -> None:
    with pytest.raises(DataError, match=f"{size[0]} x {size[1]}, expected one side at most 4"):
        openpose.detect(Image.new("RGB", size))


def find_dot(bgr: np.ndarray) -> tuple[int, int]:
    """Column and row of the one light grey pixel."""
    (row, column), *_ = np.argwhere((bgr == 150).all(axis=-1)).tolist() or [(0, 0)]
    return column, row


def test_hands_and_face_are_put_back_into_the_picture(
    openpose: OpenPose, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = draw((512, 512), (1, 1))
    dots = {"left": (305, 287), "right": (97, 299), "face": (192, 130)}
    for dot in dots.values():
        picture.putpixel(dot, (150, 150, 150))

    def read_hand(bgr: np.ndarray) -> np.ndarray:
        peaks = np.zeros((21, 2), int)
        peaks[5] = find_dot(bgr)
        return peaks

    def read_face(bgr: np.ndarray) -> np.ndarray:
        maps = np.zeros((71, *bgr.shape[:2]))
        column, row = find_dot(bgr)
        maps[66, row, column] = 0.6
        return maps

    monkeypatch.setattr(openpose, "_hand", read_hand)
    monkeypatch.setattr(openpose, "_face", read_face)
    (person,) = openpose.detect(picture)
    assert person.hands is not None and person.face is not None
    for hand, name in enumerate(("left", "right")):
        assert person.hands[hand, 5] == pytest.approx([*(np.array(dots[name]) + 0.5) / 512, 1])
    assert not np.delete(person.hands, 5, axis=1).any()
    assert person.face[66] == pytest.approx([*(np.array(dots["face"]) + 0.5) / 512, 0.6])
    assert not np.delete(person.face, 66, axis=0)[:, 2].any()


def test_without_a_head_and_arms_there_are_neither_hands_nor_face(
    openpose: OpenPose, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = Image.fromarray(np.asarray(draw((512, 512), (1, 1))))
    picture.paste((GREY,) * 3, (0, 0, 512, 170))  # head
    picture.paste((GREY,) * 3, (0, 200, 165, 512)), picture.paste((GREY,) * 3, (240, 200, 512, 512))
    for part in ("_hand", "_face"):
        monkeypatch.setattr(openpose, part, lambda _: pytest.fail("there is nothing to look at"))
    (person,) = openpose.detect(picture)
    assert person.hands is not None and person.hands.shape == (2, 21, 3) and not person.hands.any()
    assert person.face is not None and person.face.shape == (68, 3) and not person.face.any()


@pytest.fixture(scope="module")
def hand_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a hand's network: zeros, and a 7 to know it by."""
    model = load_part("hand").handpose_model()
    weights = {
        name.partition(".")[2]: torch.zeros_like(t) for name, t in model.state_dict().items()
    }
    weights["conv1_1.bias"][3] = 7
    path = tmp_path_factory.mktemp("openpose") / "hand.safetensors"
    save_file(weights, path)
    return path


def test_weights_of_hands_and_faces_are_loaded_and_named(
    tmp_path: Path, body_file: Path, hand_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The face's module imports torchvision, for names that it does not use: stand-ins do."""
    transforms = ModuleType("torchvision.transforms")
    transforms.ToPILImage = transforms.ToTensor = object  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torchvision", ModuleType("torchvision"))
    monkeypatch.setitem(sys.modules, "torchvision.transforms", transforms)
    face_file = tmp_path / "facenet.pth"
    torch.save(load_part("face").FaceNet().state_dict(), face_file)
    detector = OpenPose(body=body_file, hand=hand_file, face=face_file)
    assert detector._hand is not None and detector._face is not None
    assert detector._hand.model.state_dict()["model1_0.conv1_1.bias"][3] == 7
    for name in ("body_pose_model.pth", "hand.safetensors", "facenet.pth"):
        assert name in detector.identity
    monkeypatch.delitem(sys.modules, "controlnet_aux_open_pose.face")


def test_without_torchvision_only_the_face_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "controlnet_aux_open_pose.face", raising=False)
    for name in ("torchvision", "torchvision.transforms"):
        monkeypatch.setitem(sys.modules, name, None)
    assert load_part("hand")
    with pytest.raises(ConfigError, match=r"OpenPose's face needs torchvision.*without the face"):
        load_part("face")


class Bomb:
    """What a malicious weight file holds: unpickling it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.write_text, (self.path, "run")


def test_nothing_in_a_weight_file_is_run(tmp_path: Path) -> None:
    for number, save in enumerate((torch.save, lambda o, p: p.write_bytes(pickle.dumps(o)))):
        save({"conv1_1.weight": Bomb(tmp_path / "run.txt")}, tmp_path / f"{number}.pth")
        with pytest.raises(CheckpointError):
            OpenPose(body=tmp_path / f"{number}.pth")
    assert not (tmp_path / "run.txt").exists()


def test_another_file_is_one_line(tmp_path: Path, hand_file: Path) -> None:
    torch.save({"a": torch.zeros(1)}, tmp_path / "other.pth")
    (tmp_path / "torn.pth").write_bytes((tmp_path / "other.pth").read_bytes()[:-40])
    for name, expected in (
        ("none.pth", "not found"),
        ("torn.pth", "torn.pth"),
        ("other.pth", "does not fit OpenPose's body network"),
        (str(hand_file), "does not fit OpenPose's body network"),
    ):
        with pytest.raises(CheckpointError) as caught:
            OpenPose(body=tmp_path / name)
        assert expected in str(caught.value) and "\n" not in str(caught.value)


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in sys.modules if n.startswith("controlnet_aux_open_pose")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(ConfigError, match="needs controlnet-aux, which is not installed"):
        load_part("body")


def test_the_package_itself_stays_unimported(openpose: OpenPose) -> None:
    assert "controlnet_aux" not in sys.modules
