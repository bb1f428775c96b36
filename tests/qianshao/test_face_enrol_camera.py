"""``face enrol-camera``: good frames of one person become one reference; no picture is kept."""

from __future__ import annotations

import argparse
import dataclasses
import json
from datetime import date
from pathlib import Path

import pytest

from atm_face.device_key import file_key
from atm_face.engines.interface import Face, Template
from atm_face.engines.sface import SFaceEngine
from atm_face.images import Image, decode_image
from atm_face.templates import TemplateStore
from contract.clock import SystemClock
from hardware.simulators import portraits
from hardware.simulators.camera import SimulatedCamera
from qianshao.face_enrol_camera import add_enrol_camera_arguments, main_enrol_camera, take

CARD = 7
HEX = f"{CARD:064x}"


@pytest.fixture
def camera(tmp_path: Path) -> Path:
    """What a camera sees: nobody, a torn picture, a person from several sides."""
    folder = tmp_path / "camera"
    folder.mkdir()
    pictures = [portraits.nobody(), b"torn", portraits.portrait(), portraits.rotated(4)]
    pictures += [portraits.two_people(), portraits.rotated(-4)]
    for number, picture in enumerate(pictures):
        (folder / f"{number}.png").write_bytes(picture)
    return folder


def run(camera: Path, *words: str, card: str = HEX, patience: float = 60.0) -> int:
    parser = argparse.ArgumentParser()
    add_enrol_camera_arguments(parser)
    base = camera.parent
    places = ["--store", base / "templates", "--key", base / "key"]
    consent = ["--card", card, "--purpose", "withdrawal", "--given-on", "2026-11-01"]
    arguments = [camera, *places, *consent, "--period", 0, "--patience", patience, *words]
    return main_enrol_camera(parser.parse_args([str(word) for word in arguments]))


def test_good_frames_become_one_reference_and_the_rest_is_prompted(
    camera: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(camera) == 0
    said = capsys.readouterr().out
    assert "请正视摄像头" in said
    assert "cannot be read" in said
    assert "enrolled from 3 of 6 frames; 1 faces stored" in said
    engine = SFaceEngine()
    store = TemplateStore(camera.parent / "templates", file_key(camera.parent / "key"))
    image = decode_image(portraits.rotated(8), "probe")
    probe = engine.encode(image, engine.detect(image)[0])
    reference = store.fetch(CARD.to_bytes(32, "big"), engine)
    assert reference.similarity(engine, probe) > 0.8
    store.close()
    kept = b"".join(p.read_bytes() for p in camera.parent.iterdir() if p.is_file())
    assert portraits.portrait()[:64] not in kept
    assert run(camera) == 3
    assert "--again" in capsys.readouterr().err
    assert run(camera, "--again", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {
        "schema": "qianshao.face_enrol_camera/1", "frames": 3, "looked_at": 6, "stored": 1,
    }  # fmt: skip


class AnotherFirst(SFaceEngine):
    """Takes the first face that it encodes for somebody else's."""

    encoded = 0

    def encode(self, image: Image, face: Face) -> Template:
        template = super().encode(image, face)
        self.encoded += 1
        if self.encoded > 1:
            return template
        return dataclasses.replace(template, vector=tuple(-part for part in template.vector))


def test_another_person_before_the_camera_begins_it_anew() -> None:
    clock = SystemClock()
    camera = SimulatedCamera([portraits.portrait(), portraits.rotated(4)], clock=clock)
    said: list[str] = []
    engine = AnotherFirst()
    taken = take(engine, camera, 3, patience_s=60.0, period_s=0.0, say=said.append)
    assert (taken.used, taken.looked_at) == (3, 5)
    assert "another person" in said[1]
    image = decode_image(portraits.rotated(8), "probe")
    probe = engine.encode(image, engine.detect(image)[0])
    assert engine.compare(taken.template, probe) > 0.8


def test_without_good_frames_nothing_is_enrolled(
    camera: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for picture in camera.iterdir():
        picture.write_bytes(portraits.nobody())
    assert run(camera, patience=0.2) == 3
    assert "0 of 3 good frames" in capsys.readouterr().err
    store = TemplateStore(camera.parent / "templates", file_key(camera.parent / "key"))
    assert store.cards() == set()
    store.close()


def test_what_is_no_camera_card_or_consent_is_refused(
    camera: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(camera.parent / "video9") == 1
    assert "no such camera" in capsys.readouterr().err
    for words in (["--purpose", " "], ["--given-on", "yesterday"], ["--frames", "9"]):
        with pytest.raises(SystemExit):
            run(camera, *words)
    with pytest.raises(SystemExit):
        run(camera, card="6222020200112233445")
    assert "6222020200112233445" not in capsys.readouterr().err


def test_the_consent_is_of_today_unless_it_says_otherwise(camera: Path) -> None:
    parser = argparse.ArgumentParser()
    add_enrol_camera_arguments(parser)
    words = [str(camera), "--card", HEX, "--purpose", "p", "--store", "s", "--key", "k"]
    assert parser.parse_args(words).given_on is None
    assert parser.parse_args([*words, "--given-on", "2026-02-03"]).given_on == date(2026, 2, 3)
