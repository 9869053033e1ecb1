"""DWPose on drawn people: every joint comes back where it was drawn."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx_twins import (
    CONFIDENCE_Y,
    FAINT,
    FAINT_Y,
    KNOWN,
    SCENE,
    Graph,
    draw_person,
    write_joints_twin,
    write_people_twin,
)
from PIL import Image

from jcdm.data.joint_orders import ORDERS
from jcdm.errors import CheckpointError, ConfigError
from jcdm.poses import onnx_graph, onnx_joints, onnx_people
from jcdm.poses.detector import DetectedPerson
from jcdm.poses.dwpose import DWPose

BODY = [place for place in ORDERS[17] if place is not None]
LEFT_WRIST = 7  # in OpenPose-18
FIRST_AND_LAST = {23: ("face", 0), 90: ("face", 67), 91: ("hands", (0, 0)), 111: ("hands", (0, 20))}
FIRST_AND_LAST |= {112: ("hands", (1, 0)), 132: ("hands", (1, 20))}


def place_joints(box: tuple[float, float, float, float]) -> np.ndarray:
    """Lay the KNOWN joints out in a box, in no order that a transposition would keep."""
    left, top, right, bottom = box
    x, y = np.meshgrid(np.linspace(0.15, 0.85, 4), np.linspace(0.08, 0.92, 6))
    places = np.stack([x.ravel(), y.ravel()], axis=1)[: len(KNOWN)]
    shuffled = np.random.default_rng(3).permutation(places)
    return np.rint(shuffled * (right - left, bottom - top) + (left, top))


def draw_scene(size: tuple[int, int], *boxes: tuple[float, float, float, float]) -> Image.Image:
    picture = Image.new("RGB", size, SCENE)
    for number, box in enumerate(boxes):
        draw_person(picture, box, place_joints(box), number)
    return picture


def pixels_of(person: DetectedPerson, size: tuple[int, int]) -> np.ndarray:
    """The body's joints without the neck in pixels whose centres are whole numbers: (17,3)."""
    body = np.delete(person.body, 1, axis=0)
    return np.concatenate([body[:, :2] * size - 0.5, body[:, 2:]], axis=1)


@pytest.mark.parametrize(
    ("size", "box"),
    [
        ((160, 128), (40, 10, 110, 120)),  # as the network's own input
        ((300, 400), (80, 100, 200, 320)),
        ((400, 300), (230, 60, 330, 270)),
        ((97, 251), (10, 30, 90, 220)),  # odd and narrow
        ((640, 200), (500, 20, 590, 190)),  # wide
        ((300, 400), (0, 0, 120, 220)),  # at the border, in a corner
        ((300, 400), (170, 170, 299, 399)),  # in the opposite one
    ],
)
def test_a_drawn_joint_comes_back_where_it_is(
    dwpose: DWPose, size: tuple[int, int], box: tuple[float, float, float, float]
) -> None:
    (person,) = dwpose.detect(draw_scene(size, box))
    joints = place_joints(box)
    assert pixels_of(person, size)[:, :2] == pytest.approx(joints[BODY], abs=1.01)
    for number, (part, place) in FIRST_AND_LAST.items():
        found = getattr(person, part)[place]
        drawn = joints[KNOWN.index(number)]
        assert found[:2] * size - 0.5 == pytest.approx(drawn, abs=1.01), (part, place)
    tolerance = 2 * max(size[0] / 160, size[1] / 128)  # two pixels of the network's input
    assert np.array(person.box) * (*size, *size) == pytest.approx(box, abs=tolerance)


def test_the_mean_of_all_joints_is_not_shifted(dwpose: DWPose) -> None:
    """Half a pixel lost on the way would pass the test above."""
    errors = []
    for left in range(30, 50):
        box = (left, 100 + left / 2, left + 120, 320)
        (person,) = dwpose.detect(draw_scene((300, 400), box))
        errors.append(pixels_of(person, (300, 400))[:, :2] - place_joints(box)[BODY])
    bin_width = 1.25 * 220 / 128 / 2  # the fullest bin is the one before the place, or after it
    assert np.abs(np.mean(errors, axis=(0, 1))).max() < bin_width / 4


def test_confidence_is_that_of_the_less_sure_axis(dwpose: DWPose) -> None:
    (person,) = dwpose.detect(draw_scene((300, 400), (80, 100, 200, 320)))
    expected = [FAINT_Y if place == FAINT else CONFIDENCE_Y for place in BODY]
    assert pixels_of(person, (1, 1))[:, 2] == pytest.approx(expected, abs=1e-5)
    assert person.body[LEFT_WRIST, 2] == pytest.approx(FAINT_Y)
    shoulders = place_joints((80, 100, 200, 320))[[5, 6]]
    neck = person.body[1] * (300, 400, 1) - (0.5, 0.5, 0)
    assert neck == pytest.approx([*shoulders.mean(axis=0), CONFIDENCE_Y], abs=1.01)
    assert person.face is not None and (person.face[1:-1, 2] == 0).all()


def test_two_people_come_apart_the_surest_first(dwpose: DWPose) -> None:
    size, boxes = (500, 400), ((260, 40, 400, 300), (40, 100, 160, 330))
    people = dwpose.detect(draw_scene(size, *boxes))
    assert len(people) == 2, "the blue one is found three times, as written in the twin"
    for person, box in zip(people, boxes, strict=True):
        assert pixels_of(person, size)[:, :2] == pytest.approx(place_joints(box)[BODY], abs=1.3)


@pytest.mark.parametrize("size", [(300, 400), (1, 1), (1, 3000), (3000, 1)])
def test_nobody_is_an_empty_tuple(dwpose: DWPose, size: tuple[int, int]) -> None:
    assert dwpose.detect(Image.new("RGB", size, SCENE)) == ()


def test_red_is_not_blue(dwpose: DWPose) -> None:
    """The people's network reads BGR: with RGB the red rectangle would be the blue person."""
    picture = Image.new("RGB", (300, 400), SCENE)
    for colour, number in (((255, 0, 0), 0), ((0, 0, 255), 1)):
        picture.paste(colour, (80, 100, 200, 320))
        assert len(dwpose.detect(picture)) == number


def test_sizes_and_finer_bins_come_from_the_file(tmp_path: Path) -> None:
    people = write_people_twin(tmp_path / "p.onnx", (96, 96))
    joints = write_joints_twin(tmp_path / "j.onnx", (160, 120), bins=4)
    box = (80, 100, 200, 320)
    (person,) = DWPose(people=people, joints=joints).detect(draw_scene((300, 400), box))
    assert pixels_of(person, (300, 400))[:, :2] == pytest.approx(place_joints(box)[BODY], abs=0.8)


def slow_suppression(boxes: np.ndarray, scores: np.ndarray) -> list[int]:
    def overlap(one: np.ndarray, other: np.ndarray) -> float:
        width = min(one[2], other[2]) - max(one[0], other[0])
        height = min(one[3], other[3]) - max(one[1], other[1])
        shared = max(width, 0) * max(height, 0)
        areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (one, other)]
        return shared / (sum(areas) - shared)

    kept: list[int] = []
    for number in np.argsort(-scores):
        if all(overlap(boxes[number], boxes[k]) <= 0.45 for k in kept):
            kept.append(int(number))
    return kept


@pytest.mark.parametrize("seed", range(5))
def test_suppression_is_greedy_by_overlap(seed: int) -> None:
    random = np.random.default_rng(seed)
    corners = random.uniform(0, 60, (40, 2))
    boxes = np.concatenate([corners, corners + random.uniform(20, 60, (40, 2))], axis=1)
    scores = random.permutation(np.linspace(0.31, 0.99, 40))
    expected = slow_suppression(boxes, scores)
    assert 1 < len(expected) < 40
    assert (onnx_people.suppress(boxes, scores) == boxes[expected]).all()
    assert len(onnx_people.suppress(boxes[:0], scores[:0])) == 0


def test_rows_are_read_by_cell_and_stride() -> None:
    rows = np.zeros((3, 7), np.float32)
    rows[0] = (0.5, 0.25, math.log(2), math.log(4), 1.0, 0.9, 0)
    rows[1] = (0, 0, 200, 0, 1.0, 0.9, 0)  # so large that it is no number: damaged weights
    rows[2] = (0, 0, 0, 0, 0.5, 0.5, 0.9)  # 0.25 a person, 0.45 something else
    cells = np.array([[3, 2, 16], [0, 0, 32], [0, 0, 8]])
    with np.errstate(all="raise"):
        boxes, scores = onnx_people.decode(rows, cells)
    assert len(boxes) == 1 and boxes[0] == pytest.approx([56 - 16, 36 - 32, 56 + 16, 36 + 32])
    assert scores == pytest.approx([0.9])


def test_letterboxing_pads_right_and_below() -> None:
    canvas, scale = onnx_people.letterbox(np.full((100, 50, 3), 9, np.uint8), 64, 96)
    assert scale == 0.64
    assert (canvas[:, :32] == 9).all() and (canvas[:, 32:] == onnx_people.PADDING).all()


def test_a_box_is_widened_to_the_shape_of_the_input() -> None:
    centre, extent = onnx_joints.frame_of(np.array([10.0, 20, 50, 30]), np.array([288, 384]))
    assert centre.tolist() == [30, 25]
    assert extent == pytest.approx([50, 50 / 288 * 384])
    _, tall = onnx_joints.frame_of(np.array([10.0, 20, 11, 120]), np.array([288, 384]))
    assert tall == pytest.approx([125 * 0.75, 125])


def test_confidence_beyond_one_and_no_number_are_bounded() -> None:
    columns, rows = np.zeros((2, 3, 4))
    columns[0, 1], rows[0, 2] = 1.7, 1.2
    columns[1], rows[1] = np.nan, 1
    _, confidence = onnx_joints.read_bins(columns, rows)
    assert confidence.tolist() == [1, 0, 0]


def test_it_uses_as_many_threads_as_torch(dwpose: DWPose) -> None:
    options = dwpose._joints.graph._session.get_session_options()
    assert options.intra_op_num_threads == torch.get_num_threads()


def test_the_identity_tells_weights_apart(tmp_path: Path, dwpose_files: tuple[Path, Path]) -> None:
    people, joints = dwpose_files
    other = write_joints_twin(tmp_path / "joints.onnx", bins=4)
    names = {DWPose(people=people, joints=file).identity for file in (joints, joints, other)}
    assert len(names) == 2 and all("people.onnx" in n and "joints.onnx" in n for n in names)


def open_ended(path: Path) -> Path:
    graph = Graph()
    graph.add("Identity", "input", output="out")
    return graph.save(path, ("height", "width"), {"out": (1, 3, 640, 640)})


def other_than_promised(path: Path, people: bool) -> Path:
    """A file that leaves its shapes open and then gives rows of 7, known only when it runs."""
    graph = Graph()
    nothing = graph.add("Mul", graph.add("ReduceMax", "input", keepdims=0), graph.constant(0.0))
    seven = graph.add("Cast", graph.add("Add", nothing, graph.constant([7.0])), to=7)
    one, many = graph.constant([1], np.int64), graph.constant([192], np.int64)
    shape = graph.add("Concat", one, seven, many, axis=0)
    if people:  # not even how many axes there are is known
        shape = graph.add("Compress", shape, graph.add("Cast", shape, to=9))
    names = ["output"] if people else ["simcc_x", "simcc_y"]
    for name in names:
        graph.add("Expand", graph.constant([[[0.0]]]), shape, output=name)
    return graph.save(
        path, (128, 96), {name: None if people else ("a", "b", "c") for name in names}
    )


def test_another_file_is_one_line(tmp_path: Path, dwpose_files: tuple[Path, Path]) -> None:
    people, joints = dwpose_files
    torn = tmp_path / "torn.onnx"
    torn.write_bytes(joints.read_bytes()[:-200])
    text = tmp_path / "text.onnx"
    text.write_text("<html>404</html>")
    cases = [
        (tmp_path / "none.onnx", joints, "none.onnx not found; expected an ONNX file"),
        (people, text, "text.onnx cannot be read"),
        (people, torn, "torn.onnx cannot be read"),
        (joints, people, "joints.onnx gives outputs of shape (1, 133, 192) and (1, 133, 256)"),
        (people, people, "expected (1, 133, any) and (1, 133, any)"),
        (open_ended(tmp_path / "open.onnx"), joints, "(1, 3, height, width), expected one picture"),
        (people, tmp_path, "not found; expected an ONNX file"),
    ]
    for given_people, given_joints, expected in cases:
        with pytest.raises(CheckpointError) as caught:
            DWPose(people=given_people, joints=given_joints)
        assert expected in str(caught.value) and "\n" not in str(caught.value), expected


def test_a_network_that_breaks_its_promise_is_one_line(
    tmp_path: Path, dwpose_files: tuple[Path, Path]
) -> None:
    people, joints = dwpose_files
    broken = {kind: other_than_promised(tmp_path / f"{kind}.onnx", kind) for kind in (True, False)}
    for files, expected in (
        ((broken[True], joints), r"True.onnx gave \(1, 7, 192\), expected \(1, 252, 85\)"),
        ((people, broken[False]), r"False.onnx gave \(1, 7, 192\) .*expected \(1, 133, bins\)"),
    ):
        detector = DWPose(people=files[0], joints=files[1])
        with pytest.raises(CheckpointError, match=expected):
            detector.detect(draw_scene((300, 400), (80, 100, 200, 320)))


def test_without_onnxruntime_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, dwpose_files: tuple[Path, Path]
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ConfigError, match="needs onnxruntime, which is not installed"):
        onnx_graph.OnnxGraph(dwpose_files[0])
