"""LTE system information besides SIB1, and what a cell says when it lets a terminal go."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.captures.lte_dcch import DL_CCCH, DL_DCCH, decode_downlink
from hardware.captures.lte_rrc import decode_bcch, decode_mib
from hardware.captures.refusal import Refused
from hardware.readings import CellReading, Rat, SignallingReading, SignalType, Stamp

STAMP = Stamp(at_us=5, time_basis="live", sensor="modem0", file="f", place="packet 1")

# SIB contents field by field (TS 36.331 section 6.3.1); the values tested stand in the middle
SIB2 = (
    "0 1 1"  # no extension, barring, MBSFN
    "1 0 1 0101 010 11111"  # barring of signalling only... and the emergency flag
    "0 0 1 0100 0 0011 01 010"  # rach with a group A
    "10 0110 0100 011 010 100"
    "01 01 010"  # bcch, pcch
    "0000010110 000011 0 0101 0000100"  # prach
    "1000000 01"  # pdsch
    "01 0 0000101 1 0 00000 0 000"  # pusch
    "01 0000001 000 00000100000"  # pucch
    "1 0 010 0011 1"  # sounding
    "01000000 111 01010 01 01 01 01 01 010"
    "0"
    "0 011 100 010 001 011 000"  # timers
    "1 1 0000011111010000 011 00001"  # frequency
    "000 001 010 0 101010"  # one MBSFN list entry
    "101"
)
SIB3 = (
    "0 1 0100 000 001 0010 0011 01 10 1 00111 01000 {priority:03b}"
    "1 1 1 1 001010 011110 01011 010 1 10 010 01 10"
)
SIB5 = (
    "0 001"
    "0 1 0 1 1 1 1 {first:016b} 001010 011110 010 00100 01000 011 1 {priority:03b} 10 01111"
    " 0000 000000111 01111 0001 1 000000001 0011 0 000000010"
    "0 0 1 0 0 0 0 1111111111111111 001010 010 0110 00100 01000 011 1 10"
)
SIB6 = (
    "0 1 1 0 0000 0 1 10100111010001 {priority:03b} 00101 00110 000101 0101010 00100"
    "0000 0 0 10100111010001 00101 00110 000101 0101010 010"
)
SIB7 = (
    "0 1 1 010 01 10 0001"
    "0 0000111110 0 00 00010 0000111111 0001000000"
    "1 1 {priority:03b} 11111111 000101 010101 00100 00010"
    "0 1000000000 0 01 010 00111 0 0 11111111 000101 00100 00010"
)


def packed(text: str) -> bytes:
    text = text.replace(" ", "")
    return int(text.ljust(-(-len(text) // 8) * 8, "0"), 2).to_bytes(-(-len(text) // 8))


def information(*sibs: tuple[int, str]) -> bytes:
    """A BCCH-DL-SCH-Message with a SystemInformation."""
    text = f"0 0 0 0 {len(sibs) - 1:05b}"
    for number, content in sibs:
        text += f"0 {number - 2:04b} {content}"
    return packed(text)


def read(message: bytes) -> CellReading:
    return decode_bcch(message, STAMP, earfcn=1300)


@given(st.integers(0, 7))
def test_sib3_is_found_behind_sib2(priority: int) -> None:
    for message in (
        information((3, SIB3.format(priority=priority))),
        information((2, SIB2), (3, SIB3.format(priority=priority))),
    ):
        reading = read(message)
        assert (reading.priority, reading.hysteresis_db) == (priority, 4)
        assert (reading.plmns, reading.channel, reading.rat) == ((), 1300, Rat.LTE)


@given(st.integers(0, 7), st.integers(0, 65534))
def test_sib5_names_carriers_and_their_highest_priority(priority: int, first: int) -> None:
    reading = read(information((5, SIB5.format(priority=priority, first=first))))
    assert reading.priority_lte == priority
    assert reading.neighbour_channels == (first,)  # 65535 stands for a longer number


@given(st.integers(0, 7))
def test_sib6_and_sib7_name_the_priorities_of_older_networks(priority: int) -> None:
    both = information((6, SIB6.format(priority=2)), (7, SIB7.format(priority=priority)))
    reading = read(both)
    assert (reading.priority_utra, reading.priority_geran) == (2, priority)


def test_extension_additions_are_skipped_by_their_lengths() -> None:
    content = "1" + SIB3.format(priority=6).replace(" ", "")[1:]
    content += "0 000001 11" + "00000001 10101010" + "1000000000000010" + "1" * 16
    reading = read(information((3, content), (7, SIB7.format(priority=1))))
    assert (reading.priority, reading.priority_geran) == (6, 1)


def test_a_sib_of_another_kind_ends_the_reading_and_what_came_before_stays() -> None:
    message = information((3, SIB3.format(priority=6)), (9, "1" * 40))
    assert read(message).priority == 6
    with pytest.raises(Refused, match="other than SIB1") as refusal:
        read(information((4, "0" * 40)))
    assert not refusal.value.is_damage
    with pytest.raises(Refused, match="ends inside"):
        read(information((5, SIB5.format(priority=1, first=1)))[:9])


@pytest.mark.parametrize(("index", "blocks"), list(enumerate((6, 15, 25, 50, 75, 100))))
def test_the_master_block_names_the_bandwidth(index: int, blocks: int) -> None:
    assert decode_mib(packed(f"{index:03b}" + "0" * 21), STAMP).bandwidth_rb == blocks


def test_a_bandwidth_without_meaning_is_refused() -> None:
    with pytest.raises(Refused, match="dl-Bandwidth 6"):
        decode_mib(packed("110"), STAMP)


def down(text: str, sub_type: int = DL_DCCH) -> SignallingReading:
    return decode_downlink(packed(text), STAMP, sub_type=sub_type, earfcn=1300)


RELEASE = "0 0101 00 0 00"


@pytest.mark.parametrize(
    ("text", "cause", "redirect"),
    [
        (RELEASE + "000 01", 1, None),
        (RELEASE + "100 01 0 000", 1, Rat.LTE),
        (RELEASE + "100 01 0 001", 1, Rat.GSM),
        (RELEASE + "110 10 0 010", 2, Rat.WCDMA),
        (RELEASE + "100 01 0 100", 1, None),
        (RELEASE + "100 01 1 000", 1, None),
    ],
)
def test_a_release_says_where_it_sends_the_terminal(
    text: str, cause: int, redirect: Rat | None
) -> None:
    said = down(text)
    assert (said.type, said.cause, said.redirect) == (SignalType.RRC_RELEASE, cause, redirect)


@pytest.mark.parametrize(("ciphering", "integrity"), [(0, 2), (2, 2), (1, 0)])
def test_a_security_mode_command_names_its_algorithms(ciphering: int, integrity: int) -> None:
    said = down(f"0 0110 00 0 00 0 0 0{ciphering:03b} 0{integrity:03b}")
    assert said.type is SignalType.RRC_SECURITY_MODE_COMMAND
    assert (said.ciphering, said.integrity) == (ciphering, integrity)


def test_a_connection_setup_is_told_from_other_messages() -> None:
    assert down("0 11", DL_CCCH).type is SignalType.RRC_SETUP
    for text, sub_type in (("0 10", DL_CCCH), ("0 0001", DL_DCCH), ("1", DL_DCCH)):
        with pytest.raises(Refused) as refusal:
            down(text, sub_type)
        assert not refusal.value.is_damage


@given(st.binary(max_size=60), st.sampled_from([DL_CCCH, DL_DCCH]))
def test_any_bytes_are_a_reading_or_refused(message: bytes, sub_type: int) -> None:
    for decode in (
        lambda: decode_bcch(message, STAMP),
        lambda: decode_mib(message, STAMP),
        lambda: decode_downlink(message, STAMP, sub_type=sub_type),
    ):
        with suppress(Refused):
            decode()


@given(st.binary(max_size=80), st.lists(st.integers(2, 11), min_size=1, max_size=4))
def test_any_content_of_a_sib_is_a_reading_or_refused(tail: bytes, kinds: list[int]) -> None:
    head = "".join(f"0{kind - 2:04b}" for kind in kinds)
    content = "".join(f"{octet:08b}" for octet in tail)
    with suppress(Refused):
        read(packed(f"0000{len(kinds) - 1:05b}" + head + content))
