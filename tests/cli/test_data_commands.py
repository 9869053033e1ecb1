"""The data commands as a user types them."""

import json

from PIL import Image

from jcdm.cli.main import main


def test_import_check_and_count_real_names(tmp_path, capsys):
    names = [f"fashionMENPantsid{i:08d}01_{v}.jpg" for i in (1, 2) for v in ("1front", "2side")]
    (tmp_path / "train.lst").write_text("\n".join([*names, "rubbish"]))
    (tmp_path / "test.lst").write_text(
        "fashionMENPantsid0000000102_1front.jpg\nfashionMENPantsid0000000102_2side.jpg"
    )
    index, picture = tmp_path / "i.json", tmp_path / "c.png"
    words = ["data", "import", "--format", "cfld", "--root", str(tmp_path), "--out", str(index)]
    assert main([*words, "--no_pictures"]) == 1
    error = capsys.readouterr().err
    assert "train.lst:5: found the name 'rubbish'" in error and error.count("\n") == 1
    assert main([*words, "--no-pictures", "--on-bad", "skip"]) == 0
    out = capsys.readouterr().out
    assert "skipped train.lst:5" in out and "train: 2 subjects, 4 views" in out
    check = ["data", "check", "--index", str(index)]
    assert main([*check, "--no_pictures"]) == 0
    out = capsys.readouterr().out
    assert "1 identities are in several splits" in out and "missing files: 0" in out
    assert main([*check, "--no_pictures", "--protocol", "deepfashion"]) == 1
    assert "train images: found 4, expected 48,674" in capsys.readouterr().out
    assert main(check) == 1
    assert "missing files: 6" in capsys.readouterr().out
    assert main(["data", "stats", "--index", str(index), "--picture", str(picture)]) == 0
    assert json.loads(capsys.readouterr().out)["views_by_side"] == {"front": 3, "side": 3}
    assert Image.open(picture).width > 500
