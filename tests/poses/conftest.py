"""Small DWPose networks and a photograph that they can read."""

from pathlib import Path

import pytest
from onnx_twins import write_joints_twin, write_people_twin

from jcdm.poses.dwpose import DWPose


@pytest.fixture(scope="session")
def dwpose_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Twins of yolox_l.onnx and dw-ll_ucoco_384.onnx."""
    folder = tmp_path_factory.mktemp("dwpose")
    return write_people_twin(folder / "people.onnx"), write_joints_twin(folder / "joints.onnx")


@pytest.fixture(scope="session")
def dwpose(dwpose_files: tuple[Path, Path]) -> DWPose:
    return DWPose(people=dwpose_files[0], joints=dwpose_files[1])
