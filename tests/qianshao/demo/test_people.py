"""The demo's customers: they must pass the real engine and challenge, whoever they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from atm_face.engines.interface import Finding
from atm_face.engines.sface import SFaceEngine
from atm_face.faces import inspect
from atm_face.images import load_image
from atm_face.liveness import TURN_MIN_DEG
from edge_agent.atm.script import load_script
from qianshao.demo.people import PAN, Person, cast, visits


def yaw_of(engine: SFaceEngine, path: Path) -> float:
    capture = inspect(engine, load_image(path))
    assert capture.finding is Finding.FACE
    assert capture.face is not None
    return capture.face.yaw_deg


def assert_can_play(engine: SFaceEngine, person: Person) -> None:
    assert yaw_of(engine, person.left) >= TURN_MIN_DEG
    assert yaw_of(engine, person.right) <= -TURN_MIN_DEG
    assert person.reference.is_file()
    assert person.face != person.reference


def test_without_recordings_there_is_one_person_and_the_demo_says_so(tmp_path: Path) -> None:
    engine = SFaceEngine()
    people, sentence = cast(engine, None, tmp_path)
    assert len(people) == 1
    assert "made-up template" in sentence
    assert_can_play(engine, people[0])


@pytest.mark.field_data
def test_recorded_people_turn_their_heads(tmp_path: Path, field_data: Path) -> None:
    engine = SFaceEngine()
    people, _ = cast(engine, field_data / "faces" / "lfw" / "images", tmp_path)
    assert len(people) == 2
    for person in people:
        assert_can_play(engine, person)


def test_the_script_of_the_customers_can_be_read(tmp_path: Path) -> None:
    people, _ = cast(SFaceEngine(), None, tmp_path)
    script = tmp_path / "visits.toml"
    script.write_text("\n".join(visits(people)), encoding="utf-8")
    read = load_script(script).visits
    assert [v.pin.value for v in read] == ["ok", "ok", "ok", "wrong"]
    assert [v.answers_challenge for v in read] == [True, True, False, True]
    assert {v.pan for v in read} == {PAN}


def test_the_card_is_a_fixture_with_a_good_check_digit() -> None:
    digits = [int(d) for d in reversed(PAN)]
    doubled = [sum(divmod(2 * d, 10)) for d in digits[1::2]]
    assert (sum(digits[0::2]) + sum(doubled)) % 10 == 0
