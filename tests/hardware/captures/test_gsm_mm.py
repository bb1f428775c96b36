"""Dedicated GSM channels: LAPDm, mobility messages, ciphering, short messages."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.captures.gsm_mm import decode_layer3
from hardware.captures.lapdm import Layer3, LinkName, Reassembly
from hardware.captures.reader import CaptureReader
from hardware.captures.refusal import Refused
from hardware.captures.sms_tpdu import Delivered, decode_deliver, decode_pdu
from hardware.readings import (
    CellReading,
    Item,
    MessageReading,
    SignallingReading,
    SignalType,
    Stamp,
    Unreadable,
)
from tests.hardware.captures.build import gsmtap, pcap

STAMP = Stamp(at_us=5, time_basis="live", sensor="modem0", file="f", place="packet 1")
LINK = LinkName(62, 0, 1, 8, False, 0)
SDCCH8, SACCH8 = 8, 0x88


def information(
    number: int, payload: bytes, *, has_more: bool = False, sapi: int = 0, poll: bool = False
) -> bytes:
    """A LAPDm I frame of 23 octets."""
    head = bytes(
        (0x03 | sapi << 2, number << 1 | 0x10 * poll, len(payload) << 2 | has_more << 1 | 1)
    )
    return (head + payload).ljust(23, b"\x2b")


def unnumbered(payload: bytes, control: int = 0x03) -> bytes:
    return (bytes((0x01, control, len(payload) << 2 | 1)) + payload).ljust(23, b"\x2b")


def ucs2_deliver(sender: bytes, text: str, header: bytes = b"") -> bytes:
    body = (bytes((len(header),)) + header if header else b"") + text.encode("utf-16-be")
    first = 0x44 if header else 0x04
    digits = bytes((len(sender) * 2 - (sender[-1] >> 4 == 0xF), 0xA1))
    time = bytes.fromhex("52105102030423")  # 2025-01-15 20:30:40 +08:00
    return bytes((first,)) + digits + sender + b"\x00\x08" + time + bytes((len(body),)) + body


def delivered(tpdu: bytes) -> bytes:
    """CP-DATA with RP-DATA from a service centre."""
    rp = b"\x01\x07" + bytes.fromhex("0891683108100005f0") + b"\x00"
    rp += bytes((len(tpdu),)) + tpdu
    return b"\x09\x01" + bytes((len(rp),)) + rp


def segments(message: bytes, sapi: int) -> list[bytes]:
    parts = [message[at : at + 20] for at in range(0, len(message), 20)]
    return [
        information(n % 8, part, has_more=n + 1 < len(parts), sapi=sapi)
        for n, part in enumerate(parts)
    ]


def read(*frames: bytes, sub_type: int = SDCCH8, channel: int = 62) -> list[Item]:
    packets = [gsmtap(frame, kind=1, sub_type=sub_type, channel=channel) for frame in frames]
    reader = CaptureReader("modem0", "f.pcap")
    return reader.feed(pcap(packets, link_type=217)) + reader.close()


def readings(items: list[Item]) -> list[Item]:
    assert not [i for i in items if isinstance(i, Unreadable) and i.is_damage]
    return [item for item in items if not isinstance(item, Unreadable)]


# -- LAPDm ----------------------------------------------------------------------------------------


def test_a_message_in_several_frames_is_put_together_and_repeats_are_dropped() -> None:
    message = bytes(range(50))
    links = Reassembly()
    frames = segments(message, 0)
    whole: list[bytes] = []
    for frame in [frames[0], frames[0], frames[1], frames[1], frames[2]]:
        with suppress(Refused):
            whole.append(links.feed(frame, LINK).message)
    assert whole == [message]


def test_a_lost_frame_spoils_no_later_message() -> None:
    links = Reassembly()
    frames = [information(n, bytes((n,)) * 20, has_more=n % 2 == 0) for n in range(4)]
    with pytest.raises(Refused):
        links.feed(frames[0], LINK)
    with pytest.raises(Refused):
        links.feed(frames[2], LINK)  # number 1 was not heard
    assert links.feed(frames[3], LINK).message == bytes((2,)) * 20 + bytes((3,)) * 20


@given(st.lists(st.binary(max_size=23), max_size=40), st.booleans())
def test_any_frames_are_messages_or_refused_in_bounded_memory(
    frames: list[bytes], is_uplink: bool
) -> None:
    links = Reassembly()
    for number, frame in enumerate(frames):
        name = LINK._replace(sub_slot=number % 8, is_uplink=is_uplink)
        with suppress(Refused):
            layer3 = links.feed(frame, name)
            decode_layer3(layer3, frame, STAMP, arfcn=1, is_uplink=is_uplink)
    assert len(links._links) <= 64


# -- messages of RR and MM ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "kind", "fields"),
    [
        ("0508", SignalType.LU_REQUEST, {}),
        ("0548", SignalType.LU_REQUEST, {}),  # with a send sequence number
        ("0502" + "64f0001234", SignalType.LU_ACCEPT, {}),
        ("05040f", SignalType.LU_REJECT, {"cause": 15}),
        ("051801", SignalType.MM_IDENTITY_REQUEST, {"identity_type": 1}),
        ("0512" + "00" * 17, SignalType.MM_AUTHENTICATION_REQUEST, {}),
        ("063500", SignalType.CIPHERING_MODE_COMMAND, {"ciphering": 0}),
        ("063501", SignalType.CIPHERING_MODE_COMMAND, {"ciphering": 1}),
        ("063515", SignalType.CIPHERING_MODE_COMMAND, {"ciphering": 3}),
        ("060d00", SignalType.CHANNEL_RELEASE, {"cause": 0}),
        ("0627" + "00" * 6, SignalType.CONNECTION_START, {}),
        ("0524" + "00" * 6, SignalType.CONNECTION_START, {}),
    ],
)
def test_what_the_terminal_goes_through(
    message: str, kind: SignalType, fields: dict[str, int]
) -> None:
    (found,) = readings(read(information(0, bytes.fromhex(message))))
    assert isinstance(found, SignallingReading)
    assert (found.type, found.channel) == (kind, 62)
    for name in ("cause", "identity_type", "ciphering"):
        assert getattr(found, name) == fields.get(name)


@pytest.mark.parametrize("message", ["05", "0504", "0518", "0635", "060d"])
def test_a_message_that_ends_early_is_damage(message: str) -> None:
    (item,) = read(information(0, bytes.fromhex(message)))
    assert isinstance(item, Unreadable)
    assert item.is_damage


def test_an_identity_is_passed_over_and_kept_nowhere() -> None:
    identity = bytes.fromhex("0559" + "084906100032547698")
    (item,) = read(unnumbered(identity), channel=0x4000 | 62)
    assert isinstance(item, Unreadable)
    assert (item.is_damage, item.raw) == (False, b"")


def test_sacch_names_the_serving_cell_with_or_without_its_layer_1_header() -> None:
    si6 = unnumbered(bytes.fromhex("061e" + "1327" + "64f0007c24" + "0078"))
    si5 = unnumbered(bytes.fromhex("061d" + "8c003f" + "00" * 13))
    for header in (b"", b"\x05\x00"):
        cell, neighbours = readings(read(header + si6, header + si5, sub_type=SACCH8))
        assert isinstance(cell, CellReading)
        assert isinstance(neighbours, CellReading)
        assert (cell.plmns, cell.lac_tac, cell.cell_id) == (("460-00",), 0x7C24, 0x1327)
        assert cell.is_serving
        assert neighbours.neighbours == 2


# -- short messages -------------------------------------------------------------------------------


def test_a_chinese_message_comes_through_link_and_relay() -> None:
    tpdu = ucs2_deliver(bytes.fromhex("0180f6"), "积分兑换")
    start = information(0, bytes.fromhex("0527" + "00" * 6))
    (found,) = [
        r
        for r in readings(read(start, *segments(delivered(tpdu), sapi=3)))
        if isinstance(r, MessageReading)
    ]
    assert (found.sender, found.text, found.channel) == ("10086", "积分兑换", 62)
    assert (found.sent, found.part, found.raw) == ("2025-01-15T20:30:40+08:00", None, tpdu)
    for secret in ("10086", "积分"):
        assert secret not in repr(found)


def test_a_published_seven_bit_message_is_read() -> None:
    pdu = "07917283010010F5040BC87238880900F10000993092516195800AE8329BFD4697D9EC37"
    assert decode_pdu(bytes.fromhex(pdu)) == Delivered(
        sender="27838890001", text="hellohello", sent="1999-03-29T15:16:59+02:00", part=None
    )


def test_a_named_sender_and_a_part_of_a_long_message() -> None:
    letters = sum(ord(c) << (7 * n) for n, c in enumerate("Bank-95")).to_bytes(7, "little")
    named = b"\x04" + bytes((13, 0xD0)) + letters + b"\x00\x08" + bytes(7) + b"\x02\x75\x32"
    assert decode_deliver(named).sender == "Bank-95"
    long = ucs2_deliver(bytes.fromhex("5955f3"), "甲", header=bytes.fromhex("0003a70302"))
    found = decode_deliver(long)
    assert (found.sender, found.text, found.part) == ("95553", "甲", (0xA7, 3, 2))
    wide = ucs2_deliver(bytes.fromhex("5955f3"), "乙", header=bytes.fromhex("080401020201"))
    assert decode_deliver(wide).part == (0x0102, 2, 1)


def test_seven_bits_behind_a_header_begin_on_a_whole_septet() -> None:
    septets = "ab€"
    codes = [0x61, 0x62, 0x1B, 0x65]
    header = bytes.fromhex("050003a70101")
    value = int.from_bytes(header, "little")
    for index, code in enumerate(codes):
        value |= code << (7 * (7 + index))
    body = value.to_bytes(10, "little")
    tpdu = b"\x40\x05\xa1\x01\x80\xf6\x00\x00" + bytes(7) + bytes((11,)) + body
    found = decode_deliver(tpdu)
    assert (found.text, found.part, found.sent) == (septets, (0xA7, 1, 1), None)


@pytest.mark.parametrize(
    ("tpdu", "reason", "is_damage"),
    [
        ("", "first octet", True),
        ("01", "other than SMS-DELIVER", False),
        ("0405a10180", "the sender", True),
        ("0405a10180f60020" + "00" * 7 + "00", "compressed", False),
        ("0405a10180f60008" + "00" * 7 + "04" + "6234", "the text", True),
        ("4405a10180f60008" + "00" * 7 + "02" + "0562", "user data header", True),
    ],
)
def test_what_is_no_delivered_message(tpdu: str, reason: str, is_damage: bool) -> None:
    with pytest.raises(Refused, match=reason) as refusal:
        decode_deliver(bytes.fromhex(tpdu))
    assert refusal.value.is_damage is is_damage


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_refused(data: bytes) -> None:
    for decode in (decode_deliver, decode_pdu):
        with suppress(Refused):
            decode(data)


@given(st.binary(max_size=60))
def test_any_layer_3_message_is_read_or_refused(message: bytes) -> None:
    for sapi in (0, 3):
        with suppress(Refused):
            decode_layer3(Layer3(sapi, message), message, STAMP, arfcn=None, is_uplink=False)
