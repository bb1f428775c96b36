"""GSM system information: cell identity, reselection and neighbours of hand-made frames."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.captures.gsm_lists import carriers
from hardware.captures.gsm_rr import decode_system_information
from hardware.captures.plmn import plmn_from_bcd, plmn_to_bcd
from hardware.captures.refusal import Refused
from hardware.readings import CellReading, Rat, Stamp

STAMP = Stamp(at_us=5, time_basis="live", sensor="modem0", file="f", place="packet 1")


def si3(*, rest: str = "2b2b2b2b", area: str = "64f0101234") -> bytes:
    return bytes.fromhex("49061b" + "bead" + area + "40001e" + "00" + "6548" + "790000" + rest)


def decode(frame: bytes) -> CellReading:
    return decode_system_information(frame, STAMP, arfcn=82, level_dbm=-61.0)


def test_si3_names_the_cell() -> None:
    assert decode(si3()) == CellReading(
        stamp=STAMP,
        raw=si3(),
        rat=Rat.GSM,
        is_serving=False,
        plmns=("460-01",),
        channel=82,
        lac_tac=0x1234,
        cell_id=0xBEAD,
        level_dbm=-61.0,
        t3212_decihours=30,
        rxlev_access_min=8,
        hysteresis_db=6,
        ms_txpwr_max_cch=5,
        is_barred=False,
    )


@pytest.mark.parametrize(
    ("rest", "cro_db", "penalty_time"),
    [
        ("2b2b2b2b", None, None),
        ("80002b2b", 0, 0),
        ("bf002b2b", 126, 0),
        ("a81f2b2b", 80, 31),
        ("c0e12b2b", 0, 1),
    ],
    ids=["absent", "zero", "largest", "sign flips", "CBQ and temporary offset beside"],
)
def test_reselection_parameters_in_the_rest_octets(
    rest: str, cro_db: int | None, penalty_time: int | None
) -> None:
    reading = decode(si3(rest=rest))
    assert (reading.cro_db, reading.penalty_time) == (cro_db, penalty_time)


def test_si4_finds_its_rest_behind_a_broadcast_channel() -> None:
    plain = bytes.fromhex("31061c" + "64f0001234" + "6509" + "790000" + "a81f" + "2b" * 8)
    channel = bytes.fromhex("41061c" + "64f0001234" + "6509" + "790000" + "64101112" + "a81f")
    for frame in (plain, channel + b"\x2b" * 4):
        reading = decode(frame)
        assert (reading.plmns, reading.lac_tac, reading.cell_id) == (("460-00",), 0x1234, None)
        assert (reading.cro_db, reading.penalty_time, reading.rxlev_access_min) == (80, 31, 9)
        assert reading.t3212_decihours is None


def test_a_network_code_without_digits_is_left_out() -> None:
    assert decode(si3(area="fffff01234")).plmns == ()


@pytest.mark.parametrize(
    ("description", "count"),
    [
        ("00" * 16, 0),
        ("0f" + "ff" * 15, 124),
        ("10" + "00" * 14 + "01", 1),
        ("8e" + "00" * 15, 1),
        ("8f" + "ff" * 15, 1 + 111),
        ("80" + "00" * 15, 0),
        ("84" + "00" * 15, 1),
        ("81" + "00" * 15, 1),
        ("83ff" + "00" * 14, 1),
        ("83ffff" + "00" * 13, 2),
        ("88" + "00" * 15, 1),
        ("88003f" + "00" * 13, 2),
        ("8a003f" + "00" * 13, 2),
        ("8c003f" + "00" * 13, 2),
        ("89" + "ff" * 15, 1 + 17),
        ("8b" + "ff" * 15, 1 + 21),
        ("8d" + "ff" * 15, 1 + 28),
        ("83" + "ff" * 15, 16),
    ],
)
def test_neighbours_are_counted_in_every_format(description: str, count: int) -> None:
    assert len(carriers(bytes.fromhex(description))) == count


@pytest.mark.parametrize(
    ("frame", "is_damage"),
    [
        (b"", True),
        (si3()[:22], True),
        (bytes.fromhex("590619" + "c0" + "00" * 19), True),
        (bytes.fromhex("590607" + "00" * 20), False),
        (bytes.fromhex("150621" + "2b" * 20), False),
        (bytes.fromhex("030301" + "2b" * 20), False),
    ],
    ids=["empty", "short", "format of a list", "SI2quater", "paging", "fill frame"],
)
def test_what_is_no_system_information_is_refused(frame: bytes, is_damage: bool) -> None:
    with pytest.raises(Refused) as refusal:
        decode(frame)
    assert refusal.value.is_damage is is_damage


@given(
    st.sampled_from([b"", b"\x59\x06\x19", b"\x49\x06\x1b", b"\xfd\x06\x1c"]),
    st.binary(max_size=30),
)
def test_any_bytes_are_a_reading_or_refused(head: bytes, tail: bytes) -> None:
    try:
        reading = decode(head + tail)
    except Refused:
        return
    assert reading.raw == head + tail


@given(st.integers(0, 999), st.integers(0, 999), st.booleans())
def test_network_codes_survive_their_octets(mcc: int, mnc: int, is_short: bool) -> None:
    plmn = f"{mcc:03}-{mnc % 100:02}" if is_short else f"{mcc:03}-{mnc:03}"
    assert plmn_from_bcd(plmn_to_bcd(plmn)) == plmn


@pytest.mark.parametrize("plmn", ["46000", "460-0", "46-000", "460-0000", "4a0-00", ""])
def test_what_is_no_network_code_is_not_written(plmn: str) -> None:
    with pytest.raises(ValueError, match="no PLMN"):
        plmn_to_bcd(plmn)


@pytest.mark.parametrize(
    ("description", "channels"),
    [  # every format, as tshark 4.0.17 reads it
        (
            "817fc6103d92089b25fa5e0000000000",
            (204, 257, 267, 301, 383, 447, 555, 768, 774, 987),
        ),
        ("89b0d53c6b43baef0000000000000000", (30, 45, 166, 181, 284, 865, 867, 931)),
        ("89996885000000000000000000000000", (212, 818, 1000)),
        (
            "8a9d297a50d5c1cf6a00000000000000",
            (314, 342, 352, 390, 393, 396, 406, 418, 436, 475),
        ),
        ("8db2fbd3586800000000000000000000", (869, 912, 918, 964, 980, 992)),
        ("8ffe" + "80" * 14, (*range(5, 102, 8), 1021)),
        ("08" + "00" * 14 + "03", (1, 2, 124)),
    ],
)
def test_neighbours_are_named_in_every_format(description: str, channels: tuple[int, ...]) -> None:
    assert carriers(bytes.fromhex(description)) == tuple(sorted(channels))


@given(st.binary(min_size=16, max_size=16))
def test_any_list_is_read_or_refused(description: bytes) -> None:
    try:
        channels = carriers(description)
    except Refused:
        return
    assert list(channels) == sorted(set(channels))
    assert all(0 <= channel <= 1023 for channel in channels)
