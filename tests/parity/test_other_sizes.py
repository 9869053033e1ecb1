"""Nothing in the comparison is tied to one set of widths, depths, heads, batches or grids."""

from pathlib import Path

import pytest
from fixture_files import another_value, change_tensors, copy_fixtures, list_files
from other_fixtures import write_other_fixtures

from jcdm.compat.parity.fixtures import TENSORS
from jcdm.compat.parity.run import Report, is_output, run_parity


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("other")
    write_other_fixtures(folder)
    return folder


@pytest.fixture(scope="module")
def report(folder: Path) -> Report:
    return run_parity(folder)


def test_models_of_other_sizes_are_met(report: Report) -> None:
    assert not [str(row) for row in report.rows if not row.passed]
    assert not report.missing


@pytest.mark.parametrize(
    "name",
    [
        "apm_motion/out.pred",
        "apm_nomotion/out.pred_t77",
        "clip_vision/out.image_embeds",
        "stage1_pipeline/g1.5.image_embeds",
        "pose_guider/out3d.feature",
        "unet2d/out.sample_first_item_t250",
        "unet3d/grad.mid_block.motion_modules.0.temporal_transformer.proj_in.weight",
        "vae/out.decoded",
        "pipeline_no_motion/g3.5.latents_after_step",
        "pipeline_motion/g3.5.image_u8",
        "pipeline_motion/in.encoder_hidden_states",
        "pipeline_motion/in.flag",
    ],
)
def test_every_kind_was_compared(report: Report, name: str) -> None:
    assert name in {row.name for row in report.rows}


def test_another_record_of_other_sizes_fails(folder: Path, tmp_path: Path) -> None:
    copy = copy_fixtures(folder, tmp_path / "changed")
    path = copy / f"unet3d{TENSORS}"
    change_tensors(path, lambda k, t: another_value(k, t) if is_output(f"unet3d/{k}") else t)
    rows = [row for row in run_parity(copy).rows if row.name.startswith("unet3d/")]
    assert len(rows) == 6 and not any(row.passed for row in rows)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("apm_motion", '{"num_attention_heads": 2,', '{"num_attention_heads": 4,'),
        ("apm_motion", '{"num_attention_heads": 3}', '{"num_attention_heads": 6}'),
        ("apm_motion", '"num_views": 5', '"num_views": 3'),
        ("clip_vision", '"num_attention_heads": 3', '"num_attention_heads": 4'),
        ("unet2d", "[2, 4]", "[4, 2]"),
        ("unet3d", '{"num_attention_heads": 4', '{"num_attention_heads": 8'),
        ("pipeline_no_motion", "[0, 1, 1, 0]", "[0, 1, 0, 1]"),
        ("pipeline_motion", '"num_inference_steps": 3', '"num_inference_steps": 4'),
        ("pipeline_motion", "[3.5, 1.0]", "[3.0, 1.0]"),
        ("pipeline_motion", "[3.5, 1.0]", "[1.0]"),
        ("pipeline_motion", '"linear"', '"scaled_linear"'),
        ("stage1_pipeline", '"clip_sample_range": 10.0', '"clip_sample_range": 5.0'),
    ],
)
def test_settings_that_weights_do_not_show_are_obeyed(
    folder: Path, tmp_path: Path, name: str, old: str, new: str
) -> None:
    copy = copy_fixtures(folder, tmp_path / "changed")
    path = copy / f"{name}.json"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    list_files(copy)
    failed = [row.name for row in run_parity(copy).rows if not row.passed]
    assert any(row.startswith(name) for row in failed)
