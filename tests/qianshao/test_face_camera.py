"""``face camera``: a box, numbers and a prompt a frame, and never a picture."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from hardware.simulators import portraits
from qianshao.face_camera import add_camera_arguments, main_camera


def run(*words: object) -> int:
    parser = argparse.ArgumentParser()
    add_camera_arguments(parser)
    return main_camera(parser.parse_args([str(word) for word in words]))


def test_pictures_of_a_folder_are_a_simulated_camera(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "1.png").write_bytes(portraits.portrait())
    (tmp_path / "2.png").write_bytes(portraits.nobody())
    (tmp_path / "3.png").write_bytes(b"torn")
    assert run(tmp_path, "--frames", 3, "--period", 0, "--json") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line.get("finding") for line in lines] == ["face", "no_face", None]
    assert lines[0]["quality"]["face_px"] == pytest.approx(100, abs=30)
    assert lines[1]["prompt"] == "LOOK_AT_CAMERA"
    assert "not a JPEG" in lines[2]["error"]
    assert run(tmp_path, "--frames", 2, "--period", 0) == 0
    text = capsys.readouterr().out
    assert "simulated" in text
    assert "###" in text
    assert "请正视摄像头" in text


def test_what_is_no_camera_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, "--frames", 1) == 2
    assert "no picture" in capsys.readouterr().err
    assert run("/dev/video999", "--frames", 1) == 1
    assert "no such camera" in capsys.readouterr().err
