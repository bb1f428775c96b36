"""``qianshao face verify``: its JSON, its words and its exit codes."""

from __future__ import annotations

import argparse
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from atm_face.engines.sface import PINS
from atm_face.engines.weights import carried_folder
from hardware.simulators import portraits
from qianshao.face import add_verify_arguments, main_verify

FIELDS = {
    "schema",
    "decision",
    "similarity",
    "threshold",
    "engine",
    "model_sha256",
    "quality",
    "pad",
    "timings_ms",
}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for name, raw in {
        "owner.png": portraits.portrait(),
        "again.jpg": portraits.portrait_jpeg(),
        "upside_down.png": portraits.rotated(180),
        "nobody.png": portraits.nobody(),
        "two.png": portraits.two_people(),
        "blurred.png": portraits.blurred(6),
        "empty.png": b"",
        "cut.jpg": portraits.portrait_jpeg()[:5000],
    }.items():
        (folder / name).write_bytes(raw)
    return folder


def run(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    add_verify_arguments(parser)
    return main_verify(parser.parse_args([str(argument) for argument in arguments]))


def answer(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    assert run(*arguments, "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert isinstance(result, dict)
    return result


@pytest.mark.parametrize(
    ("probe", "decision"),
    [
        ("again.jpg", "match"),
        ("upside_down.png", "no_match"),
        ("nobody.png", "no_face"),
        ("two.png", "several_faces"),
        ("blurred.png", "poor_quality"),
    ],
)
def test_every_decision_exits_with_0_and_has_the_documented_fields(
    pictures: Path, capsys: pytest.CaptureFixture[str], probe: str, decision: str
) -> None:
    result = answer(capsys, pictures / "owner.png", pictures / probe)
    assert set(result) == FIELDS
    assert result["schema"] == "qianshao.face_verify/1"
    assert result["decision"] == decision
    assert result["pad"] == "none"
    assert result["engine"] == "sface"
    assert result["threshold"] == 0.414
    assert re.fullmatch("[0-9a-f]{64}", result["model_sha256"])
    is_compared = decision in {"match", "no_match"}
    assert (result["similarity"] is not None) == is_compared
    assert result["quality"]["reference"]["finding"] == "face"
    assert result["quality"]["reference"]["face_px"] == pytest.approx(101, abs=4)
    assert (result["quality"]["probe"]["finding"] == "face") == is_compared
    assert {"read", "load_engine", "detect", "total"} <= set(result["timings_ms"])
    assert result["timings_ms"]["total"] >= result["timings_ms"]["detect"] > 0


def test_trouble_with_the_reference_is_told_too(
    pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = answer(capsys, pictures / "nobody.png", pictures / "owner.png")
    assert result["decision"] == "no_face"
    assert result["quality"]["reference"] == {
        "finding": "no_face",
        "face_count": 0,
        "face_px": None,
        "sharpness": None,
        "brightness": None,
        "contrast": None,
        "yaw_deg": None,
        "roll_deg": None,
        "score": None,
        "lower_chroma": None,
        "lower_colour": None,
        "eye_light": None,
        "prompt": "LOOK_AT_CAMERA",
    }


def test_words_for_a_person_say_that_a_still_picture_proves_no_life(
    pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(pictures / "owner.png", pictures / "again.jpg") == 0
    text = capsys.readouterr().out
    assert text.startswith("match")
    assert "threshold 0.414" in text
    assert "does not prove that a living person was there" in text


def test_the_threshold_decides_and_a_low_one_is_warned_of(
    pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pair = pictures / "owner.png", pictures / "again.jpg"
    assert answer(capsys, *pair, "--threshold", "0.9999")["decision"] == "no_match"
    assert run(*pair, "--threshold", "0.1") == 0
    assert "threshold 0.1 is below 0.363" in capsys.readouterr().err


@pytest.mark.parametrize("threshold", ["1.5", "nan", "high"])
def test_a_threshold_that_is_no_cosine_is_a_usage_error(pictures: Path, threshold: str) -> None:
    with pytest.raises(SystemExit) as caught:
        run(pictures / "owner.png", pictures / "again.jpg", "--threshold", threshold)
    assert caught.value.code == 2


def test_a_missing_picture_is_a_usage_error_that_names_it(
    pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(pictures / "owner.png", pictures / "absent.png") == 2
    assert str(pictures / "absent.png") in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "reason"),
    [("empty.png", "the file is empty"), ("cut.jpg", "JPEG ends inside its picture")],
)
def test_an_unreadable_picture_exits_with_3_and_says_why(
    pictures: Path, capsys: pytest.CaptureFixture[str], name: str, reason: str
) -> None:
    assert run(pictures / name, pictures / "owner.png", "--json") == 3
    captured = capsys.readouterr()
    assert captured.out == ""
    assert str(pictures / name) in captured.err
    assert reason in captured.err


def test_an_operators_weights_are_used_and_false_ones_refused(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pair = pictures / "owner.png", pictures / "again.jpg"
    for pin in PINS:
        shutil.copyfile(carried_folder() / pin.file, tmp_path / pin.file)
    assert answer(capsys, *pair, "--models", tmp_path)["decision"] == "match"
    (tmp_path / PINS[0].file).write_bytes(b"something else")
    assert run(*pair, "--models", tmp_path) == 2
    error = capsys.readouterr().err
    assert "--models" in error
    assert PINS[0].sha256 in error
