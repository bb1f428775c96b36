"""``face evaluate`` over a small list: documented fields, refusals, bad input."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from hardware.simulators import portraits
from qianshao.face_evaluate import add_evaluate_arguments, main_evaluate


def run(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    add_evaluate_arguments(parser)
    return main_evaluate(parser.parse_args([str(argument) for argument in arguments]))


def write_list(folder: Path, *rows: str) -> Path:
    path = folder / "pairs.tsv"
    path.write_text("\n".join(["fold\tsame\ta\tb", *rows]) + "\n")
    return path


def test_documented_fields_and_a_face_not_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, raw in {
        "owner/1.png": portraits.portrait(),
        "owner/2.jpg": portraits.portrait_jpeg(),
        "other/1.png": portraits.nobody(),
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(raw)
    pairs = write_list(tmp_path, "1\t1\towner/1.png\towner/2.jpg", "1\t0\towner/1.png\tother/1.png")
    assert run(pairs, "--images", tmp_path, "--all-impostors", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["pairs"], result["genuine"], result["impostor"]) == (2, 1, 1)
    assert result["accuracy"] == 1.0
    assert result["failure_to_enrol"] == pytest.approx(1 / 3)
    assert result["fnmr_at_fmr"]["1e-4"] == {
        "fnmr": None,
        "threshold": None,
        "ci95": None,
        "impostor_comparisons": 1,
    }
    assert set(result["latency_ms"]) == {"p50", "p99"}
    (tmp_path / "other/1.png").write_bytes(b"")
    assert run(pairs, "--images", tmp_path, "--json") == 3
    assert "the file is empty" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("1\t1\ta/1.png\tb/1.png", "folders say otherwise"),
        ("1\t1\ta/../1.png\ta/1.png", "outside --images"),
        ("1\tyes\ta/1.png\ta/2.png", "same as 0 or 1"),
        ("1\t1\ta/1.png", "needs a, b"),
    ],
)
def test_a_bad_line_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], row: str, reason: str
) -> None:
    assert run(write_list(tmp_path, row), "--images", tmp_path) == 2
    error = capsys.readouterr().err
    assert "line 2" in error
    assert reason in error
