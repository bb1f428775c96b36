"""``face compare``: the same pairs by our engine and its peers, in one run."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from hardware.simulators import portraits
from qianshao.face_compare import add_compare_arguments, lines_of, main_compare


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
