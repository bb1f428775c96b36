"""What a store holds is told card by card, and a withdrawn consent leaves no template."""

from __future__ import annotations

import argparse
import dataclasses
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from atm_face.device_key import file_key
from atm_face.engines.sface import SFaceEngine
from atm_face.simulated import made_up_template
from atm_face.templates import Consent, NoConsentError, TemplateStore
from qianshao.face_templates import add_templates_arguments, main_templates

CARDS = [bytes([number]) * 32 for number in range(4)]


@pytest.fixture(scope="module")
def engine() -> SFaceEngine:
    return SFaceEngine()


def run(folder: Path, *words: str) -> int:
    parser = argparse.ArgumentParser()
    add_templates_arguments(parser)
    places = ["--store", str(folder / "templates"), "--key", str(folder / "key")]
    return main_templates(parser.parse_args([*places, *words]))


@pytest.fixture
def folder(tmp_path: Path, engine: SFaceEngine) -> Path:
    consent = Consent(purpose="withdrawal", given_on=date(2026, 11, 1))
    template = made_up_template(engine, "owner")
    store = TemplateStore(tmp_path / "templates", file_key(tmp_path / "key"))
    for card in CARDS[:2]:
        store.enrol(card, template, consent)
    store.enrol(CARDS[2], dataclasses.replace(template, model_sha256=bytes(32)), consent)
    store.close()
    other = TemplateStore(tmp_path / "templates", b"x" * 32)
    other.enrol(CARDS[3], template, consent)
    other.close()
    return tmp_path


def answer(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_a_store_is_told_card_by_card(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "--json") == 3
    found = answer(capsys)
    assert (found["stored"], found["usable"], found["withdrawn"]) == (4, 2, 0)
    assert found["re_enrol"] == [CARDS[2].hex()]
    assert found["unopened"] == [CARDS[3].hex()]
    assert found["filing"] == {"limit": 100_000, "is_due": False}
    assert run(folder) == 3
    words = capsys.readouterr().out
    assert "2 usable, 1 of other weights" in words
    assert "4 of 100000 faces" in words


def test_a_withdrawn_consent_leaves_no_template(
    folder: Path, engine: SFaceEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(folder, "--withdraw", CARDS[0].hex(), "--on", "2026-11-25", "--json") == 3
    found = answer(capsys)
    assert (found["stored"], found["usable"], found["withdrawn"]) == (3, 1, 1)
    store = TemplateStore(folder / "templates", file_key(folder / "key"))
    with pytest.raises(NoConsentError, match="2026-11-25"):
        store.fetch(CARDS[0], engine)
    store.close()


@pytest.mark.parametrize("card", ["6222020200112233445", "", "zz" * 32])
def test_a_number_is_no_card_and_is_not_repeated(
    folder: Path, capsys: pytest.CaptureFixture[str], card: str
) -> None:
    assert run(folder, "--withdraw", card) == 2
    error = capsys.readouterr().err
    assert "never the number" in error
    assert not card or card not in error


def test_an_unknown_card_and_a_missing_store_are_errors(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(folder, "--withdraw", "ff" * 32) == 1
    assert "no face is stored" in capsys.readouterr().err
    assert run(tmp_path / "elsewhere") == 2
    assert not (tmp_path / "elsewhere").exists()


def test_no_new_key_is_made_for_templates_of_another(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "key").unlink()
    assert run(folder) == 2
    assert "a new one opens nothing" in capsys.readouterr().err
    assert not (folder / "key").exists()
