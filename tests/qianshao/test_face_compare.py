"""``face compare``: the same pairs by our engine and its peers, in one run."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from hardware.simulators import portraits
from qianshao.face_compare import add_compare_arguments, lines_of, main_compare
from qianshao.face_extras import add_extras_arguments, main_extras


def test_all_engines_see_the_same_pairs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pictures = {"owner/1.png": portraits.cropped(), "owner/2.png": portraits.rotated(8)}
    for name, raw in (pictures | {"wall/1.png": portraits.nobody()}).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(raw)
    pairs = tmp_path / "pairs.tsv"
    rows = ["1\t1\towner/1.png\towner/2.png", "1\t0\towner/1.png\twall/1.png"]
    pairs.write_text("\n".join(["fold\tsame\ta\tb", *rows]) + "\n")
    parser = argparse.ArgumentParser()
    add_compare_arguments(parser)
    work = tmp_path / "work"
    words = [pairs, "--images", tmp_path, "--json", "--all-impostors", "--resume", work]
    assert main_compare(parser.parse_args([str(word) for word in words])) == 0
    result = json.loads(capsys.readouterr().out)
    assert list(result["engines"]) == ["sface", "opencv", "face_recognition"]
    for one in result["engines"].values():
        assert one["failures"]["no_face"] == 1
        assert one["fnmr_at_fmr"]["1e-3"]["fnmr"] is None
    assert result["paired"] == {"opencv": {}, "face_recognition": {}}
    assert list(work.iterdir()) == []
    assert any("cannot be stated" in line for line in lines_of(result))
    pairs.write_text("fold\tsame\ta\tb\n")
    assert main_compare(parser.parse_args([str(word) for word in words])) == 2


def test_extras_need_people_with_several_pictures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    makers = {
        "1": portraits.cropped,
        "2": portraits.portrait_jpeg,
        "3": portraits.infrared,
        "4": portraits.noisy,
    }
    rows = []
    for who in ("a", "b"):
        (tmp_path / who).mkdir()
        for name, make in makers.items():
            (tmp_path / who / f"{name}.png").write_bytes(make())
            rows.append(f"1\t1\t{who}/1.png\t{who}/{name}.png")
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("\n".join(["fold\tsame\ta\tb", *rows]) + "\n")
    parser = argparse.ArgumentParser()
    add_extras_arguments(parser)
    words = [str(pairs), "--images", str(tmp_path)]
    assert main_extras(parser.parse_args([*words, "--json"])) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["people"] == 2
    assert "2 of 3 frames" in [row["name"] for row in result["rows"]]
    assert all(row["fnmr_at_1e-4"] is None for row in result["rows"])
    pairs.write_text("\n".join(["fold\tsame\ta\tb", *rows[:3]]) + "\n")
    assert main_extras(parser.parse_args(words)) == 1
    assert "four pictures" in capsys.readouterr().err
