"""An index is read exactly as written, or refused in one line that names what is wrong."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jcdm.data.index import index_identity, read_index, require_files, write_index
from jcdm.errors import DataError, MissingViewError

KEEP_FIXTURES = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def good_view() -> dict[str, Any]:
    return {"image": "a.png", "keypoints": [[0.5, 0.25]] * 18, "keypoint_valid": [True] * 18}


def good_document() -> dict[str, Any]:
    subject = {"subject": "anna", "split": "train", "views": [good_view(), good_view()]}
    return {"format": "jcdm-index", "version": 1, "subjects": [subject]}


def save(folder: Path, document: object) -> Path:
    path = folder / "index.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def read_error(folder: Path, document: object) -> str:
    with pytest.raises(DataError) as caught:
        read_index(save(folder, document))
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_reads_back_what_was_written(tmp_path, make_subject):
    first = make_subject("anna")
    mapped = replace(first.views[0], pose_map=first.views[1].image)
    records = (replace(first, views=(mapped, *first.views[1:])), make_subject("bo", split="test"))
    write_index(tmp_path / "index.json", records, generator={"name": "test"})
    found = read_index(tmp_path / "index.json")
    assert [(r.subject, r.split) for r in found] == [("anna", "train"), ("bo", "test")]
    for record, expected in zip(found, records, strict=True):
        for view, wanted in zip(record.views, expected.views, strict=True):
            assert (view.image, view.pose_map) == (wanted.image, wanted.pose_map)
            assert view.tags == wanted.tags
            np.testing.assert_array_equal(view.keypoints, wanted.keypoints)
            np.testing.assert_array_equal(view.keypoint_valid, wanted.keypoint_valid)


def test_an_index_moves_with_its_folder(tmp_path, make_subject):
    (tmp_path / "inside").mkdir()
    record = make_subject()
    write_index(tmp_path / "index.json", [record])
    write_index(tmp_path / "inside" / "index.json", [record])
    beside, below = (json.loads((tmp_path / p / "index.json").read_text()) for p in (".", "inside"))
    assert beside["subjects"][0]["views"][0]["image"] == "pictures/anna_0.png"
    assert below["subjects"][0]["views"][0]["image"] == str(record.views[0].image)


def test_a_failed_write_keeps_the_old_file(tmp_path, make_subject):
    path = tmp_path / "index.json"
    write_index(path, [make_subject()])
    before = path.read_bytes()
    broken = make_subject("bo")
    broken.views[0].keypoints[3, 1] = np.nan
    with pytest.raises(ValueError):
        write_index(path, [broken])
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["index.json"]


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path, make_subject):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="writable"):
        write_index(tmp_path / "file" / "index.json", [make_subject()])


def test_only_the_split_asked_for(tmp_path, make_subject):
    path = tmp_path / "index.json"
    write_index(path, [make_subject("anna"), make_subject("bo", split="test")])
    assert [r.subject for r in read_index(path, "test")] == ["bo"]
    with pytest.raises(DataError, match=r"'val'.*'train' \(1\), 'test' \(1\)"):
        read_index(path, "val")


def test_missing_file_names_the_remedy(tmp_path):
    with pytest.raises(DataError, match=r"none\.json not found.*data synth"):
        read_index(tmp_path / "none.json")


def test_broken_json_names_the_line(tmp_path):
    path = tmp_path / "index.json"
    path.write_text('{"format": "jcdm-index",\n"version": 1,\n"subjects": [}')
    with pytest.raises(DataError, match="line 3"):
        read_index(path)


@pytest.mark.parametrize("text", [b"", b"\xff\xfe", b"[" * 100_000, b"9" * 5000])
def test_a_file_that_is_no_json_is_refused(tmp_path, text):
    path = tmp_path / "index.json"
    path.write_bytes(text)
    with pytest.raises(DataError, match=r"index\.json"):
        read_index(path)


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match="not a readable JSON"):
        read_index(tmp_path)


@pytest.mark.parametrize(
    ("key", "value"), [("format", "coco"), ("version", 2), ("version", True), ("version", "1")]
)
def test_another_format_or_version_is_refused(tmp_path, key, value):
    assert "expected 'jcdm-index' version 1" in read_error(
        tmp_path, {**good_document(), key: value}
    )


@pytest.mark.parametrize("key", ["image", "keypoints", "keypoint_valid"])
def test_a_missing_key_names_subject_and_view(tmp_path, key):
    document = good_document()
    del document["subjects"][0]["views"][1][key]
    message = read_error(tmp_path, document)
    assert f"subject 'anna', view 1: key '{key}' is missing" in message


@pytest.mark.parametrize("key", ["subject", "split", "views"])
def test_a_missing_key_of_a_subject_is_named(tmp_path, key):
    document = good_document()
    del document["subjects"][0][key]
    assert f"subject number 0: key '{key}' is missing" in read_error(tmp_path, document)


def test_a_misspelt_key_is_named(tmp_path):
    document = good_document()
    document["subjects"][0]["views"][0]["pose_mpa"] = "a.png"
    assert "unknown key 'pose_mpa'" in read_error(tmp_path, document)


@pytest.mark.parametrize(
    "keypoints",
    [
        [[0.5, 0.5]] * 17,
        [[0.5, 0.5, 1.0]] * 18,
        [[0.5, float("nan")]] * 18,
        [[0.5, float("inf")]] * 18,
        [["0.5", "0.5"]] * 18,
        [[True, False]] * 18,
        [[0.5, None]] * 18,
        [[0.5, 0.5]] * 17 + [[0.5]],
        "0.5",
        None,
        {},
    ],
)
def test_wrong_keypoints_name_subject_and_view(tmp_path, keypoints):
    document = good_document()
    document["subjects"][0]["views"][1]["keypoints"] = keypoints
    message = read_error(tmp_path, document)
    assert "subject 'anna', view 1" in message and "18 pairs of finite numbers" in message


@pytest.mark.parametrize("flags", [[True] * 17, [1] * 18, "yes", None])
def test_wrong_flags_are_refused(tmp_path, flags):
    document = good_document()
    document["subjects"][0]["views"][0]["keypoint_valid"] = flags
    assert "18 times true or false" in read_error(tmp_path, document)


@pytest.mark.parametrize("name", ["", "a\0b", 7, None])
def test_what_is_no_path_is_refused(tmp_path, name):
    document = good_document()
    document["subjects"][0]["views"][0]["image"] = name
    assert '"image" is' in read_error(tmp_path, document)


@pytest.mark.parametrize(
    ("name", "reason"), [("\ud800", "half a character"), (10**400, "too large")]
)
def test_what_no_file_needs_is_refused_wherever_it_stands(tmp_path, name, reason):
    document = good_document()
    document["subjects"][0]["views"][0]["image"] = name
    assert reason in read_error(tmp_path, document)


def test_no_subject_and_no_view_are_refused(tmp_path):
    document = good_document()
    assert "at least one subject" in read_error(tmp_path, {**document, "subjects": []})
    document["subjects"][0]["views"] = []
    assert "expected one or more" in read_error(tmp_path, document)


@KEEP_FIXTURES
@given(document=JSON)
def test_any_json_is_refused_with_our_error(tmp_path, document):
    read_error(tmp_path, document)


@KEEP_FIXTURES
@given(value=JSON, data=st.data())
def test_any_value_in_any_place_gives_records_or_our_error(tmp_path, value, data):
    document = good_document()
    holder = data.draw(
        st.sampled_from([document, document["subjects"][0], document["subjects"][0]["views"][0]])
    )
    holder[data.draw(st.sampled_from([*holder, "tags", "pose_map"]))] = value
    try:
        records = read_index(save(tmp_path, document))
    except DataError as error:
        assert "\n" not in str(error)
    else:
        assert records[0].views


def test_missing_pictures_are_counted_and_the_first_is_named(make_subject):
    record = make_subject()
    require_files([record])
    for view in record.views[2:4]:
        view.image.unlink()
    with pytest.raises(MissingViewError, match=r"2 of 5 .*anna_2\.png.*data check"):
        require_files([record])


def test_a_missing_pose_map_counts(make_subject):
    record = make_subject(num_views=1)
    lacking = replace(record.views[0], pose_map=Path("/no/such/map" + "x" * 300))
    with pytest.raises(MissingViewError, match="1 of 2"):
        require_files([replace(record, views=(lacking,))])


def test_identity_changes_with_the_data(tmp_path, make_subject):
    path = tmp_path / "index.json"
    write_index(path, [make_subject("anna")])
    first = index_identity(path)
    write_index(path, [make_subject("anna"), make_subject("bo", num_views=3)])
    second = index_identity(path)
    assert (first["num_subjects"], first["num_views"]) == (1, 5)
    assert (second["num_subjects"], second["num_views"]) == (2, 8)
    assert first["sha256"] != second["sha256"]


def test_a_file_is_parsed_once_and_again_when_it_changes(tmp_path):
    document = good_document()
    path = save(tmp_path, document)
    (first,) = read_index(path)
    assert read_index(path, "train")[0] is first
    document["subjects"][0]["subject"] = "another"
    save(tmp_path, document)
    assert read_index(path)[0].subject == "another"
