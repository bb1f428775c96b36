"""Captures: every variant reads the same, chunks make no difference, damage costs what it must."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.captures.framing import MAX_PACKET_BYTES
from hardware.captures.pcap import Packet, PcapReader
from hardware.captures.refusal import RAW_LIMIT
from hardware.readings import Unreadable
from tests.hardware.captures.build import (
    block,
    enhanced,
    fed,
    in_chunks,
    interface,
    option,
    pcap,
    pcapng,
    section,
)

THREE = [b"first", b"the second", b"\x07\x53\x08third"]


def read(data: bytes, cuts: list[int] | None = None) -> list[Packet | Unreadable]:
    reader = PcapReader("x.pcap")
    return fed(reader.feed, reader.close, in_chunks(data, cuts or []))


def packets(items: list[Packet | Unreadable]) -> list[Packet]:
    return [item for item in items if isinstance(item, Packet)]


def bad_places(items: list[Packet | Unreadable]) -> list[Unreadable]:
    return [item for item in items if isinstance(item, Unreadable)]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("is_nano", "fraction"), [(False, 123_456), (True, 123_456_789)])
def test_every_variant_of_pcap_reads_the_same(order: str, is_nano: bool, fraction: int) -> None:
    items = read(pcap(THREE, order=order, is_nano=is_nano, fraction=fraction))
    assert items == [
        Packet(1, 1_700_000_000_123_456, 148, 24, THREE[0]),
        Packet(2, 1_700_000_001_123_456, 148, 24 + 16 + 5, THREE[1]),
        Packet(3, 1_700_000_002_123_456, 148, 24 + 32 + 15, THREE[2]),
    ]


@pytest.mark.parametrize("order", ["<", ">"])
def test_pcapng_reads_in_both_byte_orders(order: str) -> None:
    items = packets(read(pcapng(THREE, order=order)))
    assert [(p.number, p.at_us, p.link_type, p.data) for p in items] == [
        (n + 1, (1_700_000_000 + n) * 1_000_000, 148, data) for n, data in enumerate(THREE)
    ]


@pytest.mark.parametrize(
    ("options", "ticks", "at_us"),
    [
        (option(9, b"\x09"), 5_000_000_123, 5_000_000),
        (option(9, b"\x00"), 7, 7_000_000),
        (option(9, b"\x8a"), 1024 + 512, 1_500_000),
        (option(2, b"eth0") + option(9, b"\x03") + option(0, b""), 1_500, 1_500_000),
        (option(14, struct.pack("<q", 100)), 1, 100_000_001),
    ],
    ids=["nanoseconds", "seconds", "1024ths", "milliseconds after a name", "offset"],
)
def test_pcapng_interfaces_bring_their_own_resolution(
    options: bytes, ticks: int, at_us: int
) -> None:
    (packet,) = packets(read(section() + interface(options=options) + enhanced(b"p", ticks)))
    assert packet.at_us == at_us


def test_pcapng_sections_and_interfaces_do_not_mix() -> None:
    data = section() + interface(1) + interface(148) + enhanced(b"a", 5, index=1)
    data += section(">") + interface(228, order=">") + enhanced(b"b", 6, order=">")
    data += enhanced(b"c", 7, index=1, order=">") + enhanced(b"d", 8, order=">")
    items = read(data)
    assert [(p.link_type, p.data) for p in packets(items)] == [
        (148, b"a"),
        (228, b"b"),
        (228, b"d"),
    ]
    (bad,) = bad_places(items)
    assert "packet 3 names interface 1" in bad.reason


def test_pcapng_packets_without_a_time_take_that_of_the_packet_before() -> None:
    simple = block(3, struct.pack("<I", 9) + b"cut by sn")
    old = block(2, struct.pack("<HHIIII", 0, 0, 0, 44, 3, 3) + b"old")
    data = section() + interface(snap=3) + enhanced(b"p", 42) + simple + old
    assert [(p.at_us, p.data) for p in packets(read(data))] == [
        (42, b"p"),
        (42, b"cut"),
        (44, b"old"),
    ]


def test_pcapng_bookkeeping_is_passed_over() -> None:
    data = section() + block(4, b"names") + interface() + block(5, b"") + enhanced(b"p", 1)
    items = read(data)
    assert [p.data for p in packets(items)] == [b"p"]
    assert not bad_places(items)


@pytest.mark.parametrize(
    "bad",
    [
        enhanced(b"p", 1, index=9),
        block(6, b"short"),
        block(6, struct.pack("<IIIII", 0, 0, 0, 400, 400) + b"less than 400"),
        block(1, b"x"),
        enhanced(b"p", 2**64 - 1),
    ],
    ids=["interface", "short", "length", "interface block", "year 586524"],
)
def test_a_bad_block_of_pcapng_costs_only_itself(bad: bytes) -> None:
    data = section() + interface() + enhanced(b"a", 1)
    items = read(data + bad + enhanced(b"b", 2))
    assert [p.data for p in packets(items)] == [b"a", b"b"]
    assert [u.place for u in bad_places(items)] == [f"offset {len(data)}"]
    assert bad_places(items)[0].raw == bad


@pytest.mark.parametrize("write", [pcap, pcapng])
def test_a_cut_capture_gives_what_is_whole_and_says_where_it_ends(write: object) -> None:
    assert write in {pcap, pcapng}
    data = pcap(THREE) if write is pcap else pcapng(THREE)
    whole = {item.offset: item for item in packets(read(data))}
    ends = [*list(whole)[1:], len(data)]
    for size in range(len(data)):
        items = read(data[:size])
        wanted = [p for p, end in zip(whole.values(), ends, strict=True) if end <= size]
        assert packets(items) == wanted
        for bad in bad_places(items):
            assert "the capture ends inside" in bad.reason or "no pcap" in bad.reason
            start = int(bad.place.removeprefix("offset "))
            assert bad.raw == data[start:size][:RAW_LIMIT]


def test_a_damaged_length_loses_one_packet_and_the_reader_finds_the_next() -> None:
    data = bytearray(pcap([b"payload %d" % n for n in range(6)]))
    second = 24 + 16 + 9
    data[second + 8 : second + 12] = struct.pack("<I", 3_000_000_000)
    items = read(bytes(data))
    assert [p.data for p in packets(items)] == [b"payload %d" % n for n in (0, 2, 3, 4, 5)]
    (bad,) = bad_places(items)
    assert bad.place == f"offset {second}"
    assert "the header of packet 2 cannot be: 3000000000 of 9 bytes" in bad.reason
    assert "25 bytes passed over, reading goes on at offset 74" in bad.reason
    assert bad.raw == bytes(data[second : second + 25])


def test_garbage_between_packets_is_passed_over() -> None:
    first, rest = pcap([b"a"]), pcap([b"b", b"c"], start_s=1_700_000_009)[24:]
    items = read(first + b"\xff" * 5_000 + rest)
    assert [p.data for p in packets(items)] == [b"a", b"b", b"c"]
    (bad,) = bad_places(items)
    assert "5000 bytes passed over" in bad.reason
    assert len(bad.raw) == RAW_LIMIT


@pytest.mark.parametrize("data", [pcap(THREE), pcap(THREE, order=">"), pcapng(THREE)])
def test_a_capture_may_be_appended_to_itself(data: bytes) -> None:
    items = read(data * 3)
    assert [p.data for p in packets(items)] == THREE * 3
    assert not bad_places(items)
    assert read(data * 3, list(range(3 * len(data)))) == items


def test_zeros_that_a_power_cut_left_are_one_bad_place() -> None:
    items = read(pcap([b"a"]) + bytes(100_000))
    assert [p.data for p in packets(items)] == [b"a"]
    (bad,) = bad_places(items)
    assert "100000 bytes passed over, nothing follows" in bad.reason


def test_garbage_between_blocks_of_pcapng_is_passed_over() -> None:
    data = pcapng([b"a"]) + b"\x06\x00\x00\x00garbage" * 9 + enhanced(b"b", 7) + pcapng([b"c"])
    items = read(data)
    assert [p.data for p in packets(items)] == [b"a", b"b", b"c"]
    assert len(bad_places(items)) == 1


def test_damage_without_an_end_holds_no_memory() -> None:
    reader = PcapReader("live")
    reader.feed(pcap([b"a"]))
    for _ in range(40):
        assert reader.feed(b"\xff" * 65_536) == []
    assert len(reader._buffer) <= MAX_PACKET_BYTES
    (bad,) = reader.close()
    assert isinstance(bad, Unreadable)
    assert f"{40 * 65_536} bytes passed over, nothing follows" in bad.reason


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"PK\x03\x04", "no pcap or pcapng header"),
        (struct.pack("<IHHiIII", 0xA1B2C3D4, 9, 0, 0, 0, 9, 1), "pcap version 9 is not known"),
        (b"\xd4\xc3\xb2\xa1\x02", "the capture ends inside its header (5 bytes)"),
    ],
)
def test_what_is_no_capture_is_said_once(data: bytes, reason: str) -> None:
    reader = PcapReader("x")
    items = reader.feed(data) + reader.close()
    assert items == [Unreadable(file="x", place="offset 0", reason=reason, raw=data)]
    assert reader.feed(b"more") == []
    assert reader.close() == []


def test_nothing_is_nothing() -> None:
    assert read(b"") == []


HEADS = [pcap([]), pcap([], order=">"), pcap([], is_nano=True), section(), section() + interface()]
PIECES = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([*HEADS, pcap(THREE), pcap(THREE)[24:], pcapng(THREE), enhanced(b"e", 9)]),
    st.just(struct.pack("<IIII", 1_700_000_000, 1, 5, 5)),
    st.just(b"\x0a\x0d\x0d\x0a"),
    st.just(bytes(20)),
)
STREAMS = st.builds(
    lambda head, pieces: head + b"".join(pieces),
    st.sampled_from([*HEADS, b""]),
    st.lists(PIECES, max_size=8),
)
CUTS = st.lists(st.integers(0, 2_000), max_size=12)


@given(STREAMS, CUTS)
def test_chunks_make_no_difference(data: bytes, cuts: list[int]) -> None:
    whole = read(data)
    assert read(data, cuts) == whole
    assert read(data, list(range(len(data)))) == whole


@given(STREAMS)
def test_every_packet_is_where_it_says(data: bytes) -> None:
    end = 0
    for packet in packets(read(data)):
        assert packet.offset >= end
        assert packet.data in data[packet.offset : packet.offset + 28 + len(packet.data)]
        end = packet.offset + len(packet.data)


@given(st.integers(0, 9), st.integers(0, 15), st.integers(1, 255), st.sampled_from(["<", ">"]))
def test_one_damaged_header_byte_costs_at_most_two_packets(
    victim: int, position: int, flip: int, order: str
) -> None:
    payloads = [b"packet number %d" % n for n in range(10)]
    data = bytearray(pcap(payloads, order=order))
    data[24 + victim * 32 + position] ^= flip
    found = {p.data for p in packets(read(bytes(data)))}
    assert len(found & set(payloads)) >= 8
