"""Neighbour lists over several messages, a cell's own carriers, and its packet service."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.captures.gsm_broadcast import MEMORY_US, BroadcastReader
from hardware.captures.refusal import Refused
from hardware.readings import CellReading, Stamp

STAMP = Stamp(at_us=5, time_basis="live", sensor="modem0", file="f", place="packet 1")
ACCESS = "790000"


def si2(last: str, *, kind: str = "1a", head: str = "00") -> bytes:
    """A list as a bit map: ``last`` is the octet of ARFCN 8 to 1."""
    return bytes.fromhex(f"5906{kind}{head}" + "00" * 14 + last + ACCESS + "2b")


def si3(cell: int) -> bytes:
    return bytes.fromhex(f"49061b{cell:04x}64f010123440001e006548{ACCESS}2b2b2b2b")


def heard(
    reader: BroadcastReader, frame: bytes, *, arfcn: int | None = 82, at_us: int = 5
) -> CellReading:
    stamp = dataclasses.replace(STAMP, at_us=at_us)
    return reader.system_information(frame, stamp, arfcn=arfcn, level_dbm=-61.0)


def test_a_list_that_is_said_to_go_on_is_whole_with_its_second_part() -> None:
    reader = BroadcastReader()
    with pytest.raises(Refused, match="rest was not heard yet") as refusal:
        heard(reader, si2("03", head="20"))
    assert not refusal.value.is_damage
    assert heard(reader, si2("10", kind="02")).neighbour_channels == (1, 2, 5)
    assert heard(reader, si2("03", head="20")).neighbours == 3


def test_a_list_of_another_band_is_added() -> None:
    reader = BroadcastReader()
    assert heard(reader, si2("00")).neighbours == 0
    assert heard(reader, si2("80", kind="03", head="60")).neighbour_channels == (8,)
    assert heard(reader, si2("00")).neighbour_channels == (8,)


def test_a_second_part_without_the_first_is_passed_over() -> None:
    with pytest.raises(Refused, match="passed over"):
        heard(BroadcastReader(), si2("10", kind="02"))


def test_parts_of_another_carrier_another_cell_or_an_older_time_do_not_join() -> None:
    reader = BroadcastReader()
    heard(reader, si3(1))
    heard(reader, si2("00"))
    heard(reader, si2("80", kind="03"))
    assert heard(reader, si2("01"), arfcn=83).neighbour_channels == (1,)
    assert heard(reader, si2("01"), at_us=MEMORY_US).neighbour_channels == (1, 8)
    assert heard(reader, si2("01"), at_us=MEMORY_US + 6).neighbour_channels == (1,)
    heard(reader, si2("80", kind="03"), at_us=MEMORY_US + 7)
    heard(reader, si3(2), at_us=MEMORY_US + 8)
    assert heard(reader, si2("01"), at_us=MEMORY_US + 9).neighbour_channels == (1,)


def test_the_list_on_the_sacch_is_joined_apart_from_the_broadcast_one() -> None:
    reader = BroadcastReader()
    heard(reader, si2("01"))
    for kind, last, expected in (("1d", "02", (2,)), ("06", "80", (2, 8))):
        message = bytes.fromhex(f"06{kind}00" + "00" * 14 + last)
        reading = reader.associated(message, message, STAMP, arfcn=82, level_dbm=None)
        assert reading.neighbour_channels == expected
    assert heard(reader, si2("01")).neighbour_channels == (1,)


def test_si1_names_the_cells_own_carriers() -> None:
    frame = bytes.fromhex("550619" + "00" * 15 + "81" + "7b0000" + "2b")
    reading = heard(BroadcastReader(), frame)
    assert (reading.own_channels, reading.is_barred) == ((1, 8), True)
    assert (reading.neighbours, reading.cell_id) == (None, None)


@pytest.mark.parametrize(
    ("rest", "routing_area"),
    [
        ("2b" * 20, None),
        # H, change marks, no mobile allocation, no PBCCH, RAC 0x2a
        (f"{0b1_000_0000:02x}{0b0_0_001010:02x}{0b10_000000:02x}" + "2b" * 17, 0x2A),
        # a mobile allocation of 1 bit between: HSN, no RFL, MA_LENGTH 0, then RAC 0x2a
        (
            f"{0b1_000_0000:02x}{0b1_00_00000:02x}{0b1_0_0_00000:02x}{0b0_1_0_00101:02x}"
            f"{0b010_00000:02x}" + "2b" * 15,
            0x2A,
        ),
    ],
    ids=["no GPRS", "plain", "mobile allocation"],
)
def test_si13_gives_the_routing_area(rest: str, routing_area: int | None) -> None:
    reading = heard(BroadcastReader(), bytes.fromhex("010600" + rest))
    assert reading.routing_area == routing_area


@given(
    st.lists(
        st.tuples(
            st.sampled_from([b"\x59\x06", b"\x01\x06", b"\x49\x06", b""]),
            st.sampled_from([b"\x1a", b"\x02", b"\x03", b"\x19", b"\x00", b"\x1b", b"\x07"]),
            st.binary(max_size=24),
        ),
        max_size=6,
    )
)
def test_any_frames_are_readings_or_refused(frames: list[tuple[bytes, bytes, bytes]]) -> None:
    reader = BroadcastReader()
    for head, kind, tail in frames:
        frame = head + kind + tail
        try:
            assert heard(reader, frame).raw == frame
            assert reader.associated(frame, frame, STAMP, arfcn=None, level_dbm=None).raw == frame
        except Refused:
            continue
