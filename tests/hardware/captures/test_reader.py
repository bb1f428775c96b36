"""Captures to readings: known answers of recorded networks, and what a live stream adds."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.captures import CaptureReader
from hardware.readings import (
    CellReading,
    Item,
    NasReading,
    NasType,
    Rat,
    SignallingReading,
    Unreadable,
)
from hardware.simulators.nas import attack_capture
from tests.hardware.captures.build import fed, gsmtap, in_chunks, ipv4, pcap, udp

GSM_SI3 = bytes.fromhex("49061bbead64f010123440001e006548790000a81f2b2b")
NAS_FAILURE = b"\x07\x5c\x14"


def read(data: bytes, cuts: list[int] | None = None) -> list[Item]:
    reader = CaptureReader("modem0", "x.pcap")
    return fed(reader.feed, reader.close, in_chunks(data, cuts or []))


def recorded(folder: Path, name: str) -> list[Item]:
    return read((folder / "cellular" / name).read_bytes())


def nas(items: list[Item]) -> list[NasReading]:
    return [item for item in items if isinstance(item, NasReading)]


def cells(items: list[Item]) -> list[CellReading]:
    return [item for item in items if isinstance(item, CellReading)]


def refusals(items: list[Item]) -> list[Unreadable]:
    return [item for item in items if isinstance(item, Unreadable)]


# -- recorded networks ------------------------------------------------------------------------


@pytest.mark.field_data
@pytest.mark.parametrize(
    ("name", "messages", "requests", "responses", "runs"),
    [
        ("exp1_nas.pcap", 102, 12, 4, [4, 4, 4]),
        ("exp2_nas.pcap", 63, 8, 2, [4, 4]),
        ("exp3_nas.pcap", 94, 4, 1, [24]),
    ],
)
def test_recorded_attacks_read_as_published(
    field_data: Path, name: str, messages: int, requests: int, responses: int, runs: list[int]
) -> None:
    readings = nas(recorded(field_data, f"attack_nas/{name}"))
    assert len(readings) == messages
    kinds = Counter(reading.type for reading in readings)
    assert kinds[NasType.IDENTITY_REQUEST] == requests
    assert kinds[NasType.AUTHENTICATION_RESPONSE] == responses
    asked = {r.identity_type for r in readings if r.type is NasType.IDENTITY_REQUEST}
    assert asked == {1}
    outcomes = [
        reading.cause
        for reading in readings
        if reading.type in {NasType.AUTHENTICATION_FAILURE, NasType.AUTHENTICATION_RESPONSE}
    ]
    assert [len(list(run)) for cause, run in groupby(outcomes) if cause == 20] == runs
    assert set(outcomes) == {20, None}
    assert {reading.stamp.time_basis for reading in readings} == {"recorded"}


@pytest.mark.field_data
def test_ordinary_networks_read_as_published(field_data: Path) -> None:
    items = recorded(field_data, "benign/attach_sample.gsmtap.pcap")
    assert len(items) == 3583
    places = [i.place if isinstance(i, Unreadable) else i.stamp.place for i in items]
    assert places == [f"packet {number}" for number in range(1, 3584)]
    named = [cell for cell in cells(items) if cell.plmns]
    assert Counter((cell.plmns, cell.lac_tac) for cell in named) == {
        (("310-410", "313-100"), 0x4E0C): 420,
        (("310-260", "311-490"), 0xA4FB): 163,
        (("311-480",), 0xE60B): 130,
        (("310-120", "310-830", "312-530", "311-882"), 0xA4FB): 20,
    }
    assert {cell.channel for cell in cells(items)} >= {5230, 1150, 2425, 976, 700}
    # SIB3, SIB5 and SIB6 as tshark 4.0.17 reads them
    others = [cell for cell in cells(items) if not cell.plmns]
    hysteresis = Counter((c.hysteresis_db, c.priority) for c in others if c.priority is not None)
    assert hysteresis == {(2, 3): 51, (2, 4): 36, (2, 6): 47, (4, 2): 95}
    inter = Counter((c.neighbour_channels, c.priority_lte) for c in others if c.priority_lte)
    assert inter == {
        ((2250, 1025, 5035), 6): 46,
        ((2350, 2100, 1075, 2561), 5): 44,
        ((5230, 2350, 2100, 2561), 5): 4,
        ((9820, 850, 5330, 2175, 2000, 5815), 4): 27,
    }
    assert Counter(c.priority_utra for c in others if c.priority_utra) == {3: 46, 6: 15}
    commands = [s for s in items if isinstance(s, SignallingReading) and s.ciphering is not None]
    assert {(s.ciphering, s.integrity) for s in commands} == {(2, 2)}
    assert len(commands) == 50
    accepts = [r for r in nas(items) if r.type is NasType.ATTACH_ACCEPT]
    assert [(r.cause, r.plmns) for r in accepts] == [(18, ("311-480",))] * 51
    reasons = Counter(refusal.reason for refusal in refusals(items))
    assert reasons["passed over: GSMTAP version 3"] == 337
    assert not any(refusal.is_damage for refusal in refusals(items))


@pytest.mark.field_data
@pytest.mark.parametrize("name", ["attach_sample.gsmtap.pcap", "att.gsmtap.pcap"])
def test_ordinary_networks_hold_nothing_alarming(field_data: Path, name: str) -> None:
    readings = nas(recorded(field_data, f"benign/{name}"))
    assert readings
    assert not {reading.type for reading in readings} & {
        NasType.AUTHENTICATION_REQUEST,
        NasType.AUTHENTICATION_FAILURE,
        NasType.AUTHENTICATION_REJECT,
        NasType.IDENTITY_REQUEST,
        NasType.ATTACH_REJECT,
        NasType.TAU_REJECT,
        NasType.SERVICE_REJECT,
    }


@pytest.mark.field_data
def test_a_genuine_gsm_cell_reads_as_published(field_data: Path) -> None:
    items = recorded(field_data, "gsm_l2/grgsm_bcch_from_expected.pcap")
    assert len(items) == 47
    (si3,) = [cell for cell in cells(items) if cell.cell_id is not None]
    assert (si3.rat, si3.plmns, si3.lac_tac, si3.cell_id) == (Rat.GSM, ("262-02",), 318, 11225)
    assert (si3.channel, si3.t3212_decihours, si3.rxlev_access_min) == (725, 10, 9)
    assert (si3.cro_db, si3.penalty_time) == (80, 31)
    assert [cell.neighbours for cell in cells(items) if cell.neighbours is not None] == [5]
    assert {cell.stamp.time_basis for cell in cells(items)} == {"synthetic"}


@pytest.mark.field_data
def test_a_recorded_file_cut_anywhere_gives_what_is_whole(field_data: Path) -> None:
    data = (field_data / "cellular" / "attack_nas" / "exp2_nas.pcap").read_bytes()
    whole = read(data)
    for size in range(len(data)):
        items = read(data[:size])
        readings, broken = nas(items), refusals(items)
        assert readings == whole[: len(readings)]
        assert len(broken) <= 1
        if broken:
            assert "the capture ends inside" in broken[0].reason or size < 4
            assert int(broken[0].place.removeprefix("offset ")) < size
        else:
            consumed = 24 + sum(16 + len(reading.raw) for reading in readings)
            assert size in {0, consumed}


@pytest.mark.field_data
def test_chunks_of_a_recorded_file_make_no_difference(field_data: Path) -> None:
    data = (field_data / "cellular" / "benign" / "att.gsmtap.pcap").read_bytes()
    whole = read(data)
    for step in (1, 7, 16, 1000):
        assert read(data, list(range(0, len(data), step))) == whole


# -- streams of our own -----------------------------------------------------------------------


def mixed_capture(start_s: int = 1_700_000_000) -> bytes:
    frames = [
        gsmtap(GSM_SI3, kind=1, sub_type=1, channel=82, signal=-70),
        gsmtap(NAS_FAILURE, kind=18, sub_type=0),
        gsmtap(GSM_SI3, kind=1, sub_type=1, channel=0x4000 | 82),
        gsmtap(GSM_SI3, kind=1, sub_type=8, channel=82),
        gsmtap(b"\x00\x01", kind=13, sub_type=6, channel=1300),
        gsmtap(b"\x07", kind=18, sub_type=0),
    ]
    return pcap([ipv4(udp(frame)) for frame in frames], link_type=228, start_s=start_s)


def test_every_packet_is_one_item() -> None:
    items = read(mixed_capture())
    assert [type(item).__name__ for item in items] == [
        "CellReading",
        "NasReading",
        "Unreadable",
        "Unreadable",
        "Unreadable",
        "Unreadable",
    ]
    (cell,) = cells(items)
    assert (cell.channel, cell.level_dbm, cell.cro_db) == (82, -70.0, 80)
    assert [refusal.is_damage for refusal in refusals(items)] == [False, False, False, True]
    assert [bool(refusal.raw) for refusal in refusals(items)] == [False, False, False, True]


def test_a_live_stream_keeps_the_times_and_adds_the_arrival() -> None:
    data = pcap([NAS_FAILURE] * 2)
    reader = CaptureReader("modem0", "ttyUSB0")
    early, late = reader.feed(data[:-1], 7_000), reader.feed(data[-1:], 9_000)
    stamps = [reading.stamp for reading in nas(early + late)]
    assert [(s.at_us, s.received_us, s.time_basis) for s in stamps] == [
        (1_700_000_000_123_456, 7_000, "recorded"),
        (1_700_000_001_123_456, 9_000, "recorded"),
    ]
    assert {(s.sensor, s.file) for s in stamps} == {("modem0", "ttyUSB0")}
    assert reader.close() == []


def test_a_clock_that_was_never_set_gives_no_date() -> None:
    data = pcap([NAS_FAILURE] * 2, start_s=40)
    assert [(r.stamp.at_us, r.stamp.time_basis) for r in nas(read(data))] == [
        (40_123_456, "synthetic"),
        (41_123_456, "synthetic"),
    ]
    dated = CaptureReader("s", "f", start_us=1_800_000_000_000_000)
    readings = nas(dated.feed(data) + dated.close())
    assert [(r.stamp.at_us, r.stamp.time_basis) for r in readings] == [
        (1_800_000_000_000_000, "recorded"),
        (1_800_000_001_000_000, "recorded"),
    ]


def test_a_capture_with_times_is_not_dated_anew() -> None:
    reader = CaptureReader("s", "f", start_us=5)
    (reading,) = nas(reader.feed(pcap([NAS_FAILURE])))
    assert reading.stamp.at_us == 1_700_000_000_123_456


@given(
    st.integers(0, 300),
    st.integers(0, 255),
    st.lists(st.integers(0, 500), max_size=9),
    st.binary(max_size=30),
)
def test_damage_never_raises_and_chunks_make_no_difference(
    position: int, value: int, cuts: list[int], tail: bytes
) -> None:
    data = bytearray(mixed_capture() + tail)
    data[position % len(data)] = value
    whole = read(bytes(data))
    assert read(bytes(data), cuts) == whole


def test_frames_of_a_capture_passed_a_check_of_their_own() -> None:
    reader = CaptureReader("nas0", "capture.pcap")
    readings = [r for r in reader.feed(attack_capture()) if not isinstance(r, Unreadable)]
    assert readings
    assert all(reading.stamp.is_checked for reading in readings)
