"""Small ONNX files with the inputs and outputs of DWPose's two, that read drawn pictures.

A person is a rectangle in one of BACKDROPS, a joint a disc in one of COLOURS.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image, ImageDraw

BACKDROPS = ((0, 0, 255), (0, 255, 0))  # blue, green: RGB of the first and of the second person
SCENE = (70, 70, 70)
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
KNOWN = (*range(17), 23, 90, 91, 111, 112, 132)
"""Joints of the 133 that have a colour: the body's, first and last of face, left, right hand."""
FAINT = 9  # the joint that the network is less sure of than 0.3: the left wrist
CONFIDENCE_X, CONFIDENCE_Y, FAINT_Y = 0.9, 0.7, 0.2
_STRIDES = (8, 16, 32)


_HEX = (
    "ffc080 ffc0ff 80c0ff ffc000 00c0c0 ff0000 ff0080 004080 ffff40 c0ffc0 ffc0c0 ff00ff "
    "ff80c0 40ffc0 ff00c0 ff0040 c0c0ff c040ff c0ff00 80ffc0 ffffc0 400080 ff8000"
)
COLOURS = np.array([list(bytes.fromhex(colour)) for colour in _HEX.split()], float)
"""RGB of the KNOWN joints; no blend of one with a backdrop or with black comes near another."""


def draw_person(
    picture: Image.Image, box: Sequence[float], joints: np.ndarray, person: int = 0, radius: int = 5
) -> None:
    """Draw a person: box in pixels, joints (len(KNOWN),2) at pixel centres of whole numbers."""
    pen = ImageDraw.Draw(picture)
    pen.rectangle(tuple(box), fill=BACKDROPS[person])
    for (x, y), colour in zip(joints.tolist(), COLOURS, strict=True):
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=tuple(map(int, colour)))


class Graph:
    """Nodes of an ONNX graph, one method call each."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, value: Any, kind: Any = np.float32) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.array(value, kind), name))
        return name

    def add(self, operator: str, *inputs: str, output: str | None = None, **how: Any) -> str:
        name = output or f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], **how))
        return name

    def save(self, path: Path, size: tuple[Any, Any], outputs: dict[str, Any]) -> Path:
        picture = helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, *size])
        given = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in outputs.items()
        ]
        graph = helper.make_graph(self.nodes, "twin", [picture], given, self.constants)
        opset = [helper.make_opsetid("", 17)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=9)
        onnx.save(model, path)
        return path


def write_people_twin(path: Path, size: tuple[int, int] = (128, 160)) -> Path:
    """Write a YOLOX that boxes the blue and the green rectangle of BGR pixels in 0..255.

    The blue person comes three times: surely, less surely and shifted a little, and as something
    that is no person; the green one less surely than the blue one, in a cell of another stride.
    """
    height, width = size
    cells = [(c, r, s) for s in _STRIDES for r in range(height // s) for c in range(width // s)]
    rows = (  # number, channel, score, class, shift
        (7, 0, 0.8, 0, 3.0),
        (8, 0, 0.9, 0, 0.0),
        (9, 0, 0.99, 1, 0.0),
        (len(cells) - 5, 1, 0.6, 0, 0.0),
    )
    graph, parts, start = Graph(), list[str](), 0
    for number, channel, score, kind, shift in rows:
        if number > start:
            parts.append(graph.constant(np.zeros((1, number - start, 85))))
        edges = _edges(graph, size, channel)
        box = [
            name
            for (first, last), place in zip(edges, cells[number][:2], strict=True)
            for name in _encode(graph, first, last, place, cells[number][2], shift)
        ]
        classes = np.eye(80)[[kind]] * score
        there = graph.add("Reshape", _presence(graph, channel), graph.constant([1, 1], np.int64))
        row = graph.add(
            "Concat", box[0], box[2], box[1], box[3], there, graph.constant(classes), axis=1
        )
        parts.append(graph.add("Unsqueeze", row, graph.constant([1], np.int64)))
        start = number + 1
    parts.append(graph.constant(np.zeros((1, len(cells) - start, 85))))
    graph.add("Concat", *parts, output="output", axis=1)
    return graph.save(path, size, {"output": (1, len(cells), 85)})


def _mask(graph: Graph, channel: int) -> str:
    """Mark what is bright in one channel and dark in the others: (1,1,H,W)."""
    weights = np.full((1, 3, 1, 1), -1.0)
    weights[0, channel] = 1.0
    alone = graph.add("Conv", "input", graph.constant(weights))
    return graph.add("Cast", graph.add("Greater", alone, graph.constant(140.0)), to=1)


def _presence(graph: Graph, channel: int) -> str:
    return graph.add("ReduceMax", _mask(graph, channel), axes=[1, 2, 3], keepdims=0)


def _edges(graph: Graph, size: tuple[int, int], channel: int) -> list[tuple[str, str]]:
    """First and last column, first and last row of the mask, each (1,1)."""
    mask, found = _mask(graph, channel), []
    for across, length in ((2, size[1]), (3, size[0])):
        profile = graph.add("ReduceMax", mask, axes=[1, across], keepdims=0)
        ends = []
        for bins in (length - np.arange(length), np.arange(length)):
            weighed = graph.add("Mul", profile, graph.constant(bins[None]))
            ends.append(graph.add("ReduceMax", weighed, axes=[1], keepdims=1))
        first = graph.add("Sub", graph.constant([[length]]), ends[0])
        found.append((first, ends[1]))
    return found


def _encode(
    graph: Graph, first: str, last: str, place: int, stride: int, shift: float
) -> tuple[str, str]:
    """Write a span as YOLOX does: middle from the cell and log of the length, both in strides."""
    span = graph.add("Max", graph.add("Sub", last, first), graph.constant(1.0))
    twice = graph.add("Add", graph.add("Add", first, last), graph.constant(2 * shift))
    middle = graph.add("Div", twice, graph.constant(2 * stride))
    centre = graph.add("Sub", middle, graph.constant(place))
    return centre, graph.add("Log", graph.add("Div", span, graph.constant(stride)))


def write_joints_twin(path: Path, size: tuple[int, int] = (128, 96), bins: int = 2) -> Path:
    """Write an RTMPose that finds the discs in RGB pixels normalised as ImageNet's.

    bins: of its outputs a pixel. The joints without a colour come with confidence 0.
    """
    height, width = size
    graph = Graph()
    colours = ((COLOURS - MEAN) / STD).reshape(1, -1, 3, 1, 1)
    away = graph.add(
        "Sub",
        graph.add("Unsqueeze", "input", graph.constant([1], np.int64)),
        graph.constant(colours),
    )
    distance = graph.add(
        "ReduceSum", graph.add("Mul", away, away), graph.constant([2], np.int64), keepdims=0
    )
    near = graph.add("Sub", graph.constant(1.0), graph.add("Div", distance, graph.constant(0.3)))
    blurred = graph.add(
        "Conv",
        graph.add("Relu", near),
        graph.constant(_gaussian(len(COLOURS))),
        pads=[4] * 4,
        group=len(COLOURS),
    )
    there = graph.add("ReduceMax", blurred, axes=[2, 3], keepdims=0)  # (1,known)
    sharp = graph.add("Pow", blurred, graph.constant(8.0))
    total = graph.add(
        "Add",
        graph.add("ReduceSum", sharp, graph.constant([2, 3], np.int64), keepdims=0),
        graph.constant(1e-20),
    )
    seen = graph.add("Cast", graph.add("Greater", there, graph.constant(0.25)), to=1)
    for name, across, length, heights in (
        ("simcc_x", 2, width, CONFIDENCE_X * np.ones(len(KNOWN))),
        ("simcc_y", 3, height, np.where(np.array(KNOWN) == FAINT, FAINT_Y, CONFIDENCE_Y)),
    ):
        profile = graph.add("ReduceSum", sharp, graph.constant([across], np.int64), keepdims=0)
        moment = graph.add("MatMul", profile, graph.constant(np.arange(length)))  # (1,known)
        middle = graph.add("Mul", graph.add("Div", moment, total), graph.constant(bins))
        column = graph.add("Unsqueeze", middle, graph.constant([2], np.int64))
        offset = graph.add("Sub", graph.constant(np.arange(length * bins)), column)
        near_bin = graph.add("Exp", graph.add("Neg", graph.add("Mul", offset, offset)))
        peak = graph.add("ReduceMax", near_bin, axes=[2], keepdims=1)
        shape = graph.add("Div", near_bin, graph.add("Add", peak, graph.constant(1e-20)))
        level = graph.add("Mul", seen, graph.constant(heights[None]))
        rows = graph.add("Mul", shape, graph.add("Unsqueeze", level, graph.constant([2], np.int64)))
        spread = np.zeros((133, len(KNOWN)))
        spread[list(KNOWN), np.arange(len(KNOWN))] = 1
        graph.add("MatMul", graph.constant(spread), rows, output=name)
    outputs = {"simcc_x": (1, 133, width * bins), "simcc_y": (1, 133, height * bins)}
    return graph.save(path, size, outputs)


def _gaussian(channels: int) -> np.ndarray:
    along = np.exp(-(np.arange(-4, 5) ** 2) / 8)
    kernel = np.outer(along, along)
    return np.tile(kernel / kernel.sum(), (channels, 1, 1, 1))
