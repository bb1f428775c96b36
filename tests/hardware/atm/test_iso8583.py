"""ISO 8583: another implementation's messages decode, and come out again byte for byte."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.atm.iso8583 import Edition, Encoding, Format, IsoError

ASCII_87 = Format(Edition.ISO_1987, Encoding.ASCII)
BINARY_87 = Format(Edition.ISO_1987, Encoding.BINARY)
FORMATS = [Format(edition, encoding) for edition in Edition for encoding in Encoding]
REQUEST = {
    "t": "0200",
    "2": "6217000000000000012",
    "3": "012000",
    "4": "000000300000",
    "11": "000123",
    "22": "051",
    "35": "6217000000000000012=30122010000012300",
    "41": "ATM00001",
    "49": "156",
    "52": "1B9C1845EB993A7A",
}


def recorded(field_data: Path) -> list[dict[str, str]]:
    path = field_data / "atm/host/jpos217_packed_withdrawal.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def format_of(packager: str) -> Format:
    edition = Edition.ISO_1987 if "87" in packager else Edition.ISO_1993
    return Format(edition, Encoding.ASCII if packager.endswith("ascii") else Encoding.BINARY)


def test_every_recorded_message_decodes_and_comes_out_again(field_data: Path) -> None:
    rows = recorded(field_data)
    assert len(rows) == 20
    for row in rows:
        raw = bytes.fromhex(row["hex"])
        form = format_of(row["packager"])
        message = form.unpack(raw)
        assert message["t"] == row["mti"]
        assert message["11"] == "000123"
        if row["mti"][1:3] != "80":
            assert (message["2"], message["4"]) == ("6225880000000008", "000000300000")
        assert form.pack(message) == raw, row["packager"]


def test_both_encodings_hold_the_same_message() -> None:
    for form in (ASCII_87, BINARY_87):
        assert form.unpack(form.pack(REQUEST)) == REQUEST
    assert b"6217000000000000012=" in ASCII_87.pack(REQUEST)
    assert len(BINARY_87.pack(REQUEST)) < len(ASCII_87.pack(REQUEST))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("4", "00000030000x"),
        ("4", "1" * 13),
        ("2", "６２１７"),
        ("35", "no track"),
        ("52", "xyz"),
        ("41", "ATM0\n001"),
        ("t", "02"),
        ("65", "1"),
    ],
)
def test_what_a_field_cannot_hold_is_refused_without_being_shown(field: str, value: str) -> None:
    with pytest.raises(IsoError) as caught:
        ASCII_87.pack(REQUEST | {field: value})
    assert value not in str(caught.value) or value.isdigit()


def test_bytes_left_over_are_refused() -> None:
    with pytest.raises(IsoError):
        ASCII_87.unpack(ASCII_87.pack(REQUEST) + b"0")
    with pytest.raises(IsoError):
        ASCII_87.unpack(b"0" * 10_000)


@given(raw=st.binary(max_size=200), form=st.sampled_from(FORMATS))
def test_any_bytes_are_a_message_or_an_iso_error(raw: bytes, form: Format) -> None:
    try:
        message = form.unpack(raw)
    except IsoError:
        return
    assert len(message["t"]) == 4


@given(place=st.integers(0, 200), byte=st.integers(0, 255), form=st.sampled_from(FORMATS[:2]))
def test_a_changed_byte_never_crashes(place: int, byte: int, form: Format) -> None:
    raw = bytearray(form.pack(REQUEST))
    raw[place % len(raw)] = byte
    with contextlib.suppress(IsoError):
        form.unpack(bytes(raw))
