"""``face evaluate`` over a small list: documented fields, refusals, bad input."""

from __future__ import annotations

import argparse
import json
import math
import re
import struct
from pathlib import Path

import pytest

from atm_face.engines.sface import SFaceEngine
from atm_face.evaluation import Comparison
from atm_face.simulated import made_up_template
from hardware.simulators import portraits
from qianshao.face_evaluate import (
    _group_rates,
    add_calibrate_arguments,
    add_evaluate_arguments,
    main_calibrate,
    main_evaluate,
    report,
)
from qianshao.face_pictures import Encoded, Looked, Pair, encode_all
from qianshao.face_report import det_curve, page
from qianshao.face_work import WorkFile


@pytest.fixture(scope="module")
def engine() -> SFaceEngine:
    return SFaceEngine()


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
        "misses": None,
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


def write_people(folder: Path) -> Path:
    for name, raw in {
        "owner/1.png": portraits.portrait(),
        "owner/2.png": portraits.rotated(10),
        "other/1.png": portraits.nobody(),
    }.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(raw)
    rows = ["1\t1\towner/1.png\towner/2.png", "1\t0\towner/1.png\tother/1.png"]
    return write_list(folder, *rows)


def test_the_page_says_what_cannot_be_stated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs, page = write_people(tmp_path), tmp_path / "report.html"
    assert run(pairs, "--images", tmp_path, "--report", page) == 0
    text = page.read_text("utf-8")
    assert text.count("cannot be stated: needs") == 3
    assert "needs 30,000 comparisons" in text
    assert "http" not in text
    printed = capsys.readouterr().out
    assert "FMR 1e-4: cannot be stated" in printed
    assert "1 show no face" in printed


def test_calibrate_refuses_what_the_comparisons_cannot_carry(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = argparse.ArgumentParser()
    add_calibrate_arguments(parser)
    out = tmp_path / "out.json"
    words = [write_people(tmp_path), "--images", tmp_path, "--out", out]
    assert main_calibrate(parser.parse_args([str(word) for word in words])) == 1
    assert "1 comparisons of different people carry no threshold" in capsys.readouterr().err
    assert not out.exists()


def test_stopped_work_goes_on_and_leaves_nothing(tmp_path: Path, engine: SFaceEngine) -> None:
    pairs, folder = write_people(tmp_path), tmp_path / "work"
    names = ["owner/1.png", "other/1.png"]
    first = encode_all(engine, tmp_path, names, WorkFile.open(folder, engine))
    with (folder / "templates.sealed").open("ab") as file:
        file.write(b"\0\0\0\x50torn")
    again = encode_all(engine, tmp_path, [*names, "owner/2.png"], WorkFile.open(folder, engine))
    assert len(again.spent_ms) == 1
    assert again.looked["owner/1.png"] == first.looked["owner/1.png"]
    assert again.looked["other/1.png"].template is None
    template = first.looked["owner/1.png"].template
    assert template is not None
    kept = (folder / "templates.sealed").read_bytes()
    assert struct.pack(">d", template.vector[0]) not in kept
    assert run(pairs, "--images", tmp_path, "--resume", folder) == 0
    assert not folder.exists()


def test_a_damaged_or_foreign_work_folder_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], engine: SFaceEngine
) -> None:
    pairs, folder = write_people(tmp_path), tmp_path / "work"
    encode_all(engine, tmp_path, ["owner/1.png"], WorkFile.open(folder, engine))
    raw = bytearray((folder / "templates.sealed").read_bytes())
    raw[-1] ^= 1
    (folder / "templates.sealed").write_bytes(raw)
    assert run(pairs, "--images", tmp_path, "--resume", folder) == 2
    assert "another engine or damaged" in capsys.readouterr().err
    assert run(pairs, "--images", tmp_path, "--resume", tmp_path) == 2
    assert "a folder of its own" in capsys.readouterr().err


def test_a_group_is_judged_at_the_common_threshold() -> None:
    group = [Comparison("a", "b", 0.5), Comparison("a", "c", 0.1), Comparison("a", "a", 0.3)]
    rates = _group_rates(group, 0.4)["at_overall_threshold"]
    assert (rates["fmr"], rates["fnmr"]) == (0.5, 1.0)
    shipped = _group_rates(group, 0.4, 0.2)["at_default_threshold"]
    assert (shipped["false_matches"], shipped["misses"], shipped["fnmr"]) == (1, 0, 0.0)


def test_a_refusal_is_told_apart_from_a_face_that_was_not_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs = write_people(tmp_path)
    (tmp_path / "owner/2.png").write_bytes(portraits.blurred(4))
    assert run(pairs, "--images", tmp_path, "--json") == 0
    result = json.loads(capsys.readouterr().out)
    failures = result["failures"]
    assert (failures["pictures"], failures["no_face"], failures["unreadable"]) == (3, 1, 0)
    assert failures["would_be_refused"] == {"HOLD_STILL": 1}
    assert result["failure_to_enrol"] == pytest.approx(1 / 3)
    assert run(pairs, "--images", tmp_path, "--gate", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["failure_to_enrol"] == pytest.approx(2 / 3)
    assert result["failures"]["is_refusal_a_miss"]


def test_a_group_has_every_pair_of_its_own_people(engine: SFaceEngine) -> None:
    template = made_up_template(engine, "one")
    names = [f"{who}/{n}.png" for who in "abcd" for n in (1, 2)]
    encoded = Encoded({name: Looked("face", None, template) for name in names})
    pairs = [Pair(f"{who}/1.png", f"{who}/2.png", "east") for who in "abc"]
    pairs.append(Pair("a/1.png", "d/1.png", "west"))
    result, curve = report(engine, pairs, encoded, is_all=True)
    assert "<tr><td>east<td>3<td>1<td>" in page(result, curve)
    assert result["worst_group"] == "east"  # too few pairs for 1e-3: by the engine's own threshold
    assert result["at_default_threshold"]["false_matches"] == 6
    assert result["groups"]["east"]["genuine"] == 3
    assert result["groups"]["east"]["impostor"] == 1  # b and c: a was labelled twice
    assert result["impostor"] == 6


def test_the_curve_holds_only_errors_that_occurred_and_marks_what_the_page_states() -> None:
    point = {"fnmr": 0.02, "misses": 1, "threshold": 0.4, "ci95": [0.0, 0.1]}
    unstated = {"fnmr": None, "impostor_comparisons": 1200}
    result = {
        "engine": "sface", "model_sha256": "0" * 64, "people": 1844, "genuine": 50,
        "impostor": 1200, "failure_to_enrol": 0.0, "eer": 0.02, "groups": {},
        "fnmr_at_fmr": {"1e-2": {**point, "impostor_comparisons": 1200}, "1e-4": unstated},
        "failures": {
            "pictures": 60, "no_face": 0, "unreadable": 0, "is_refusal_a_miss": False,
            "would_be_refused": {"LOOK_AT_CAMERA": 2},
        },
        "at_default_threshold": {"threshold": 0.414, "fmr": 0.005, "fnmr": 0.04},
    }  # fmt: skip
    text = page(result, [(1.0, 0.0), (0.05, 0.02), (0.001, 0.04), (0.0, 0.5)])
    (curve,) = re.findall(r'<path d="([^"]*)" fill="none"', text)
    assert curve.count("M") + curve.count("L") == 2  # no wall where FMR or FNMR is 0
    assert text.count("<circle") == 2
    assert "1e-2 (1 %)" in text
    assert "1,844 people" in text
    assert "2 where a machine would ask: look at camera" in text


def test_the_curve_passes_by_the_operating_points() -> None:
    impostors = [n / 100_000 for n in range(100_000)]
    genuine = [0.985, 0.9945, 0.9995, *(1 + n / 1000 for n in range(597))]
    curve = det_curve(genuine, impostors)
    assert len(curve) <= 400
    assert all(fmr > 0 and fnmr > 0 for fmr, fnmr in curve)
    for rate, misses in ((1e-2, 1), (1e-3, 2), (1e-4, 3)):
        near = min(curve, key=lambda point: abs(math.log(point[0] / rate)))
        assert near[0] == pytest.approx(rate, rel=0.1)
        assert near[1] == misses / 600
    assert det_curve([], impostors) == []


def test_attacks_are_told_by_species(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pairs, shown, page = write_people(tmp_path), tmp_path / "shown.tsv", tmp_path / "report.html"
    shown.write_text("species\tanswer\nvinyl\tlive\nphone\tnot_live\nbona_fide\tlive\n")
    words = [pairs, "--images", tmp_path, "--presentations", shown, "--report", page, "--json"]
    assert run(*words) == 0
    pad = json.loads(capsys.readouterr().out)["pad"]
    assert (pad["worst_species"], pad["apcer"]["vinyl"]["rate"]) == ("vinyl", 1.0)
    assert "Worst species: vinyl" in page.read_text("utf-8")
    shown.write_text("species\tanswer\nvinyl\tmaybe\n")
    assert run(*words) == 2
    assert "line 2" in capsys.readouterr().err
