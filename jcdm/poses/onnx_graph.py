"""One ONNX file as a function of pixels, on the GPU where onnxruntime can use it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from jcdm.errors import CheckpointError, ConfigError

_SOURCE = "docs/poses.md says where the file comes from; download or copy it again."
_ERRORS_ONLY = 3  # onnxruntime's severity: its warnings about graphs tell a user nothing


class OnnxGraph:
    """A network with one picture as input: pixels (1,3,height,width) float32 -> its outputs.

    height and width are read from the file. It runs on as many threads as torch does.
    """

    def __init__(self, path: Path) -> None:
        """Open a file. Errors: CheckpointError when it is missing, damaged or of another kind."""
        self.path = path
        self._session = _open(path)
        self.height, self.width = _input_size(self._session, path)

    def expect_outputs(self, shapes: Sequence[Sequence[int | None]], kind: str) -> None:
        """Check the outputs' shapes, None standing for any length; CheckpointError otherwise.

        Lengths that the file leaves open are taken on trust here and checked when it runs.
        """
        found = [output.shape for output in self._session.get_outputs()]
        fits = len(found) == len(shapes) and all(map(_may_be, found, shapes))
        if not fits:
            raise CheckpointError(
                f"{self.path} gives outputs of shape {_shown(found)}, expected {_shown(shapes)}: "
                f"{kind}. {_SOURCE}"
            )

    def run(self, pixels: np.ndarray) -> list[np.ndarray]:
        """Run the network. Errors: CheckpointError when its nodes do not fit together."""
        name = self._session.get_inputs()[0].name
        try:
            return self._session.run(None, {name: np.ascontiguousarray(pixels, np.float32)})
        except Exception as error:  # onnxruntime's errors share no base of their own
            raise CheckpointError(
                f"{self.path} cannot be run: {_reason(error)}. {_SOURCE}"
            ) from None


def _open(path: Path) -> Any:
    if not path.is_file():
        raise CheckpointError(f"{path} not found; expected an ONNX file. {_SOURCE}")
    try:
        import onnxruntime
    except ImportError:
        raise ConfigError(
            "DWPose needs onnxruntime, which is not installed; run: pip install 'jcdm[pose]'."
        ) from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = _ERRORS_ONLY
    known = onnxruntime.get_available_providers()
    wanted = [name for name in ("CUDAExecutionProvider", "CPUExecutionProvider") if name in known]
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=wanted)
    except Exception as error:  # a damaged file can raise anything
        raise CheckpointError(f"{path} cannot be read: {_reason(error)}. {_SOURCE}") from None


def _input_size(session: Any, path: Path) -> tuple[int, int]:
    shapes = [given.shape for given in session.get_inputs()]
    is_picture = len(shapes) == 1 and len(shapes[0]) == 4 and shapes[0][1] == 3
    if not is_picture or not all(isinstance(length, int) for length in shapes[0][2:]):
        raise CheckpointError(
            f"{path} takes inputs of shape {_shown(shapes)}, expected one picture (1, 3, height, "
            f"width) of fixed size. {_SOURCE}"
        )
    height, width = shapes[0][2:]
    return height, width


def _may_be(promised: Sequence[Any], expected: Sequence[int | None]) -> bool:
    """Tell whether a shape may turn out as expected; words and an empty shape leave it open."""
    return not promised or (
        len(promised) == len(expected)
        and all(
            wanted is None or not isinstance(length, int) or length == wanted
            for length, wanted in zip(promised, expected, strict=True)
        )
    )


def _shown(shapes: Sequence[Sequence[Any]]) -> str:
    listed = ["(" + ", ".join("any" if n is None else str(n) for n in s) + ")" for s in shapes]
    return " and ".join(listed)


def _reason(error: Exception) -> str:
    return (" ".join(str(error).split())[:200] or type(error).__name__).rstrip(".")
