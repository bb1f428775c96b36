"""RDS groups: every recorded case says what it is known to say; errors enter no text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.readings import RdsReading, Stamp, Unreadable
from hardware.recordings import read_recording
from hardware.spectrum.rds import RdsDecoder
from hardware.spectrum.rds_text import basic_text, radiotext

STAMP = Stamp(at_us=0, time_basis="synthetic", sensor="t", file="f", place="line 1")
FIELDS = {
    "pi": ("pi", "other_pi"),
    "group": ("group",),
    "prog_type": ("programme_type", "other_programme_type"),
    "ps": ("ps", "other_ps"),
    "radiotext": ("radiotext",),
    "clock_time": ("clock_time",),
    "pty_name": ("pty_name",),
}


def decode(groups: list[str]) -> list[RdsReading]:
    decoder = RdsDecoder()
    return [
        decoder.decode([int(b, 16) if b != "----" else None for b in g.split()], STAMP, g.encode())
        for g in groups
    ]


@pytest.mark.field_data
def test_every_recorded_case_decodes_to_its_expectation(field_data: Path) -> None:
    sets = json.loads((field_data / "fm" / "rds_groups_redsea.json").read_text("utf-8"))["sets"]
    expected = 0
    for case in sets:
        said = decode(case["groups"])
        assert len(said) == len(case["groups"])
        for expectation in case.get("expect") or []:
            for name, value in expectation.items():
                found = [getattr(r, f) for r in said for f in FIELDS[name]]
                if name == "pi":
                    found = [f"0x{pi:04X}" for pi in found if pi is not None]
                assert value in found, (case["section"], name)
                expected += 1
    assert (len(sets), sum(len(s["groups"]) for s in sets)) == (50, 320)
    assert expected >= 34


def test_a_text_is_given_once_and_again_only_when_it_changes() -> None:
    once = ["C954 24F0 4A41 434B", "C954 24F1 2039 362E", "C954 24F2 390D 0000"]
    other = ["C954 24F0 4A41 434B", "C954 24F1 2039 372E", "C954 24F2 390D 0000"]
    said = [r.radiotext for r in decode(once * 3 + other * 2) if r.radiotext]
    assert said == ["JACK 96.9", "JACK 97.9"]


def test_a_block_with_an_error_enters_no_text_and_no_pi() -> None:
    said = decode(["---- 24F0 4A41 434B", "C954 24F1 ---- 362E", "C954 ---- 390D 0000"])
    assert [(r.pi, r.group, r.radiotext, r.is_clean) for r in said] == [
        (None, "2A", None, False),
        (0xC954, "2A", None, False),
        (0xC954, None, None, False),
    ]


def test_a_new_pi_is_a_new_station() -> None:
    ps = ["6204 0130 966B 594C", "6204 0131 93CD 4520", "6204 0132 E472 5833"]
    said = decode([*ps, "6205 0133 0000 4D20"])
    assert [r.ps for r in said if r.ps] == []


def test_chinese_texts_are_read_where_they_can_be_nothing_else() -> None:
    assert radiotext("交通广播 FM91.8".encode("gb2312")) == "交通广播 FM91.8"
    assert radiotext(bytes.fromhex("4B7691 6C6C".replace(" ", ""))) == "Kväll"
    assert basic_text(b"\xd7") == "Ö"


def test_logs_of_hexadecimal_groups_are_read_with_their_times(tmp_path: Path) -> None:
    log = tmp_path / "log.spy"
    log.write_text(
        '<recorder="RDS Spy">\n3ABC A750 4352 492E @2019/05/04 22:36:23.05\n'
        "3ABC A751 434E 0D0D@2019/05/04 22:36:23.14\n3ABC A751 43\n---- A751 434E 0D0D\n"
    )
    first, second, bad, last = read_recording(log)
    assert isinstance(second, RdsReading)
    assert (second.pty_name, second.stamp.at_us) == ("CRI.CN ", 1_557_009_383_140_000)
    assert isinstance(first, RdsReading)
    assert isinstance(bad, Unreadable)
    assert bad.place == "line 4"
    assert isinstance(last, RdsReading)
    assert last.pi is None


_BLOCK = st.one_of(st.none(), st.integers(0, 0xFFFF))


@given(st.lists(st.tuples(_BLOCK, _BLOCK, _BLOCK, _BLOCK), max_size=30), st.booleans())
def test_any_groups_never_raise(groups: list[tuple[int | None, ...]], is_one_station: bool) -> None:
    decoder = RdsDecoder()
    for group in groups:
        blocks = [0x1234, *group[1:]] if is_one_station else list(group)
        said = decoder.decode(blocks, STAMP, b"")
        assert (said.group is None) == (group[1] is None)
