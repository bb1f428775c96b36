"""Bulk enrolment: every bad line told by number, the rest enrolled, a second run goes on."""

from __future__ import annotations

import argparse
import functools
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atm_face.device_key import file_key
from atm_face.engines.sface import SFaceEngine
from atm_face.images import decode_image
from atm_face.templates import TemplateStore
from hardware.simulators import portraits
from qianshao.face_enrol import Report, add_enrol_arguments, main_enrol, read_list

HEADER = "card,picture,purpose,given_on"
PICTURES: dict[str, Callable[[], bytes]] = {
    "a1.png": portraits.cropped,
    "a2.jpg": portraits.portrait_jpeg,
    "wall.png": portraits.nobody,
    "two.png": portraits.two_people,
    "blur.png": functools.partial(portraits.blurred, 4),
}


def run(folder: Path, *rows: str, words: tuple[str, ...] = ()) -> int:
    (folder / "list.csv").write_text("\n".join([HEADER, *rows]) + "\n")
    parser = argparse.ArgumentParser()
    add_enrol_arguments(parser)
    places = ["--images", folder, "--store", folder / "templates", "--key", folder / "key"]
    arguments = [folder / "list.csv", *places, "--json", *words]
    return main_enrol(parser.parse_args([str(word) for word in arguments]))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, make in PICTURES.items():
        (tmp_path / name).write_bytes(make())
    (tmp_path / "torn.png").write_bytes(portraits.portrait()[:5000])
    return tmp_path


def row(card: int, picture: str, day: str = "2026-11-01") -> str:
    return f"{card:064x},{picture},withdrawal,{day}"


def test_what_can_be_enrolled_is_and_every_other_line_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        row(1, "a1.png"),
        row(1, "a2.jpg"),
        row(2, "wall.png"),
        row(3, "two.png"),
        row(4, "blur.png"),
        row(5, "torn.png"),
        row(6, "a2.jpg"),
        "6222020200112233445,a1.png,withdrawal,2026-11-01",
        row(7, "../a1.png"),
        row(8, "a1.png", "yesterday"),
        row(1, "a1.png", "2026-11-02"),
    ]
    assert run(folder, *rows) == 3
    printed = capsys.readouterr()
    report = json.loads(printed.out)
    assert (report["enrolled"], report["already"], report["stored"]) == (2, 0, 2)
    kinds = {one["line"]: one["kind"] for one in report["problems"]}
    assert kinds == {
        4: "no_face",
        5: "several_faces",
        6: "poor_quality",
        7: "unreadable",
        8: "duplicate",
        9: "bad_line",
        10: "bad_line",
        11: "bad_line",
        12: "bad_line",
    }
    assert "6222020200112233445" not in printed.out + printed.err
    assert run(folder, *rows, row(9, "a1.png")) == 3
    again = json.loads(capsys.readouterr().out)
    assert (again["enrolled"], again["already"]) == (1, 2)


def test_what_was_enrolled_matches_its_owner(folder: Path) -> None:
    assert run(folder, row(1, "a1.png"), row(1, "a2.jpg")) == 0
    engine, store = SFaceEngine(), TemplateStore(folder / "templates", file_key(folder / "key"))
    image = decode_image(portraits.rotated(8), "probe")
    probe = engine.encode(image, engine.detect(image)[0])
    reference = store.fetch((1).to_bytes(32, "big"), engine)
    assert reference.similarity(engine, probe) > 0.8
    assert engine.compare(reference.plain(), probe) == pytest.approx(
        reference.similarity(engine, probe)
    )


def test_a_list_without_its_columns_or_a_public_key_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(folder, words=("--token", "none")) == 2
    (folder / "key").write_bytes(b"k" * 32)
    (folder / "key").chmod(0o644)
    assert run(folder, row(1, "a1.png")) == 2
    assert "others may use it" in capsys.readouterr().err


@given(st.text(max_size=200))
def test_any_text_is_entries_or_bad_lines(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_text(f"{HEADER}\n{text}", "utf-8")
    report = Report()
    for entry in read_list(path, report):
        assert len(entry.card) == 32
        assert entry.pictures
