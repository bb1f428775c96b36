"""EPS mobility management: what a detector needs is decoded, who the subscriber is is not."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.captures.nas_eps import decode_nas
from hardware.captures.refusal import Refused
from hardware.readings import Direction, NasReading, NasType, Stamp

STAMP = Stamp(at_us=5, time_basis="recorded", sensor="modem0", file="f", place="packet 1")
UP, DOWN, BOTH = Direction.UPLINK, Direction.DOWNLINK, Direction.UNKNOWN


def nas(text: str) -> NasReading:
    return decode_nas(bytes.fromhex(text), STAMP)


@pytest.mark.parametrize(
    ("message", "kind", "direction"),
    [
        ("0741710bf600f110000000000000000002e0e0000402 01d011", NasType.ATTACH_REQUEST, UP),
        ("074300035200c2", NasType.ATTACH_COMPLETE, UP),
        ("0746", NasType.DETACH_ACCEPT, BOTH),
        ("074801", NasType.TAU_REQUEST, UP),
        ("074a", NasType.TAU_COMPLETE, UP),
        ("075200" + "11" * 16 + "10" + "22" * 16, NasType.AUTHENTICATION_REQUEST, DOWN),
        ("075308" + "33" * 8, NasType.AUTHENTICATION_RESPONSE, UP),
        ("0754", NasType.AUTHENTICATION_REJECT, DOWN),
        ("0756080910101032547698", NasType.IDENTITY_RESPONSE, UP),
        ("075e", NasType.SECURITY_MODE_COMPLETE, UP),
        ("0761", NasType.EMM_INFORMATION, DOWN),
        ("0750", NasType.GUTI_REALLOCATION_COMMAND, DOWN),
        ("c7001122", NasType.SERVICE_REQUEST, UP),
        ("17aabbccdd00c7001122", NasType.SERVICE_REQUEST, UP),
        ("0762", NasType.OTHER, DOWN),
        ("07ff", NasType.OTHER, BOTH),
        ("0201d011", NasType.OTHER, BOTH),
        ("17aabbccdd000201d011", NasType.OTHER, BOTH),
        ("27aabbccdd00075308", NasType.OTHER, BOTH),
        ("47aabbccdd00075e", NasType.OTHER, BOTH),
    ],
)
def test_type_and_direction(message: str, kind: NasType, direction: Direction) -> None:
    reading = nas(message)
    assert (reading.type, reading.direction) == (kind, direction)
    assert reading.raw == bytes.fromhex(message)
    assert reading.cause is None


@pytest.mark.parametrize(
    ("message", "kind", "cause"),
    [
        ("07440f", NasType.ATTACH_REJECT, 15),
        ("074b0a", NasType.TAU_REJECT, 10),
        ("074e09", NasType.SERVICE_REJECT, 9),
        ("075c14", NasType.AUTHENTICATION_FAILURE, 20),
        ("075c15300e" + "00" * 14, NasType.AUTHENTICATION_FAILURE, 21),
        ("17aabbccdd05075c14", NasType.AUTHENTICATION_FAILURE, 20),
        ("075f17", NasType.SECURITY_MODE_REJECT, 23),
        ("076060", NasType.EMM_STATUS, 96),
        ("0745095302", NasType.DETACH_REQUEST, 2),
        # attach accept: TAI list, bearer, GUTI, LAI, one-octet element, then cause 18
        (
            "07420249" "06" "0000f1100001" "0003" "5201c1" "500bf600f11000000000000000"
            "1300f1100001" "e1" "5312",
            NasType.ATTACH_ACCEPT,
            18,
        ),
        ("074900" "5a21" "7b0002aabb" "5312", NasType.TAU_ACCEPT, 18),
    ],
)  # fmt: skip
def test_the_emm_cause_is_found(message: str, kind: NasType, cause: int) -> None:
    reading = nas(message)
    assert (reading.type, reading.cause) == (kind, cause)


def test_a_detach_tells_its_direction_by_its_shape() -> None:
    assert nas("074509").direction is DOWN
    assert nas("0745095302").direction is DOWN
    assert nas("0745090bf600f11000000000000000").direction is UP


def test_an_identity_request_says_which_identity_it_wants() -> None:
    assert [nas(f"07550{n}").identity_type for n in (1, 2, 3, 4)] == [1, 2, 3, 4]


def test_a_security_mode_command_says_what_was_selected() -> None:
    null = nas("37aabbccdd00075d020002e0e0")
    assert (null.ciphering, null.integrity) == (0, 2)
    aes = nas("37aabbccdd00075d210002e0e0c1")
    assert (aes.ciphering, aes.integrity) == (2, 1)


@pytest.mark.parametrize(
    ("areas", "plmns"),
    [
        ("0000f1100001", ("001-01",)),
        ("0264f00000010002 0003", ("460-00",)),
        ("2264f0110001", ("460-11",)),
        ("4164f000000113001400 02", ("460-00", "310-410")),
        ("0064f0000001" "2064f0100001", ("460-00", "460-01")),
        ("00fff0ff0001", ()),
    ],
    ids=["one", "three areas", "consecutive", "own PLMNs", "two lists", "no digits"],
)  # fmt: skip
def test_plmns_of_the_tai_list(areas: str, plmns: tuple[str, ...]) -> None:
    value = bytes.fromhex(areas)
    assert nas(f"07420249{len(value):02x}{value.hex()}0000").plmns == plmns
    assert nas(f"07490054{len(value):02x}{value.hex()}").plmns == plmns


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("", "empty"),
        ("07", "before its type"),
        ("05", "discriminator 5"),
        ("17aabbccdd00", "inside its security header"),
        ("17aabb", "inside its security header"),
        ("17aabbccdd0005", "discriminator 5"),
        ("17aabbccdd0017aabbccdd00", "security header type 1"),
        ("97aabbccdd00", "security header type 9"),
        ("c700", "service request of 2 bytes"),
        ("075c", "inside the EMM cause"),
        ("0755", "inside the identity type"),
        ("075d", "inside the selected algorithms"),
        ("0742024906", "inside the TAI list"),
        ("074202490160", "TAI list of a reserved form|inside"),
        ("074202490600 00f1100001 0003", "inside the ESM container"),
        ("07490053", "inside element 0x53"),
    ],
)
def test_a_damaged_message_is_refused_with_a_reason(message: str, reason: str) -> None:
    with pytest.raises(Refused, match=reason) as refusal:
        nas(message)
    assert refusal.value.is_damage


@given(st.binary(max_size=15))
def test_no_digit_of_an_identity_becomes_a_field(identity: bytes) -> None:
    blank = bytes(len(identity))
    for head in (b"\x07\x56", b"\x07\x41\x71", b"\x07\x45\x09"):
        readings = [
            decode_nas(head + bytes((len(value),)) + value + b"\x02\xe0\xe0", STAMP)
            for value in (identity, blank)
        ]
        told, untold = (dataclasses.replace(reading, raw=b"") for reading in readings)
        assert told == untold


HEADS = st.sampled_from(
    [b"", b"\x07", b"\x17aaaa\x01\x07", b"\x37aaaa\x00\x07", b"\x07\x42\x01\x21"]
)


@given(HEADS, st.one_of(st.binary(max_size=60), st.binary(min_size=1, max_size=4)))
def test_any_bytes_are_a_reading_or_refused(head: bytes, tail: bytes) -> None:
    try:
        reading = decode_nas(head + tail, STAMP)
    except Refused:
        return
    assert reading.raw == head + tail
    assert reading.stamp is STAMP
