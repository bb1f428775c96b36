"""GSMTAP: found behind every link layer; the rest of a capture is passed over by name."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.captures.gsmtap import GsmtapFrame, GsmtapType, parse, unwrap
from hardware.captures.refusal import Refused
from tests.hardware.captures.build import gsmtap, ipv4, ipv6, udp

NAS = gsmtap(b"\x07\x44\x08", kind=18, sub_type=0)
MACS = bytes(12)
LAYERS = {
    "ethernet": (1, MACS + b"\x08\x00" + ipv4(udp(NAS)) + b"padding"),
    "vlan": (1, MACS + b"\x81\x00\x00\x07\x08\x00" + ipv4(udp(NAS))),
    "double vlan": (1, MACS + b"\x88\xa8\x00\x01\x81\x00\x00\x07\x86\xdd" + ipv6(udp(NAS))),
    "raw": (101, ipv4(udp(NAS))),
    "raw of BSD": (12, ipv4(udp(NAS))),
    "raw v4": (228, ipv4(udp(NAS))),
    "raw v6": (229, ipv6(udp(NAS))),
    "cooked": (113, bytes(14) + b"\x08\x00" + ipv4(udp(NAS))),
    "cooked v2": (276, b"\x08\x00" + bytes(18) + ipv4(udp(NAS))),
    "BSD null": (0, b"\x02\0\0\0" + ipv4(udp(NAS))),
    "macOS null, big-endian": (0, b"\0\0\0\x1e" + ipv6(udp(NAS))),
    "BSD loop": (108, b"\0\0\0\x02" + ipv4(udp(NAS))),
    "bare GSMTAP": (217, NAS),
}


@pytest.mark.parametrize(("link_type", "data"), LAYERS.values(), ids=LAYERS)
def test_a_frame_is_found_behind_every_link_layer(link_type: int, data: bytes) -> None:
    assert unwrap(link_type, data) == GsmtapFrame(
        type=GsmtapType.LTE_NAS,
        sub_type=0,
        channel=None,
        level_dbm=None,
        is_uplink=False,
        timeslot=0,
        sub_slot=0,
        payload=b"\x07\x44\x08",
    )


def test_the_header_tells_channel_level_and_direction() -> None:
    frame = parse(gsmtap(b"x", kind=1, sub_type=2, channel=0x4000 | 725, signal=-63))
    assert (frame.channel, frame.level_dbm, frame.is_uplink) == (725, -63.0, True)
    frame = parse(gsmtap(b"x", kind=13, sub_type=5, channel=0x8000 | 5230, words=4))
    assert (frame.channel, frame.level_dbm, frame.is_uplink) == (5230, None, False)


def test_a_longer_header_is_skipped_by_its_own_length() -> None:
    assert parse(gsmtap(b"extra(8)payload", kind=18, sub_type=0, words=6)).payload == b"payload"


@pytest.mark.parametrize(
    ("link_type", "data", "reason"),
    [
        (1, MACS + b"\x08\x06" + bytes(28), "no IP packet"),
        (1, MACS, "no IP packet"),
        (101, b"", "no IP packet"),
        (101, ipv4(udp(NAS), protocol=1), "IP protocol other than UDP"),
        (101, ipv4(udp(NAS), fragment=0x2000), "IP fragment"),
        (101, ipv4(udp(NAS), fragment=7), "IP fragment"),
        (101, ipv4(udp(NAS, port=53)), "UDP port other than GSMTAP's"),
        (101, ipv4(udp(gsmtap(b"", kind=18, sub_type=0, version=3))), "GSMTAP version 3"),
        (101, ipv4(udp(gsmtap(b"", kind=3, sub_type=0))), "GSMTAP type 3"),
        (0, b"\x07\0\0\0" + bytes(20), "no IP packet"),
        (108, b"", "no IP packet"),
        (105, b"802.11", "link type 105"),
    ],
)
def test_anything_else_is_passed_over_by_name(link_type: int, data: bytes, reason: str) -> None:
    with pytest.raises(Refused) as refusal:
        unwrap(link_type, data)
    assert refusal.value.reason == f"passed over: {reason}"
    assert not refusal.value.is_damage
    assert refusal.value.item("f", "packet 1", data).raw == b""


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (ipv4(udp(NAS)[:6]), "UDP header is cut short"),
        (ipv4(udp(NAS)[:-2]), "UDP payload of 19 bytes, 17 of them captured"),
        (ipv4(udp(NAS[:9])), "GSMTAP header of 9 bytes"),
        (ipv4(udp(b"")), "GSMTAP header of 0 bytes"),
        (ipv4(udp(gsmtap(b"", kind=18, sub_type=0, words=3))), "claims 12 bytes"),
        (ipv4(udp(gsmtap(b"", kind=18, sub_type=0, words=200))), "claims 800 bytes"),
        (ipv4(struct.pack(">HHHH", 1, 4729, 3, 0)), "UDP payload of -5 bytes"),
    ],
)
def test_a_broken_frame_is_damage(data: bytes, reason: str) -> None:
    with pytest.raises(Refused, match=reason) as refusal:
        unwrap(101, data)
    assert refusal.value.is_damage


@given(st.sampled_from([0, 1, 12, 101, 108, 113, 217, 228, 229, 276, 999]), st.binary(max_size=90))
def test_any_bytes_are_a_frame_or_refused(link_type: int, data: bytes) -> None:
    try:
        frame = unwrap(link_type, data)
    except Refused:
        return
    assert data.find(frame.payload) >= 0


@given(st.sampled_from(sorted(LAYERS)), st.data())
def test_a_flipped_byte_never_raises_anything_else(name: str, data: st.DataObject) -> None:
    link_type, packet = LAYERS[name]
    damaged = bytearray(packet)
    damaged[data.draw(st.integers(0, len(packet) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        frame = unwrap(link_type, bytes(damaged))
    except Refused:
        return
    assert damaged.find(frame.payload) >= 0
