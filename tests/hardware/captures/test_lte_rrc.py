"""SIB1: every list of networks that can be written is read back; the rest is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.captures.lte_rrc import decode_sib1
from hardware.captures.refusal import Refused
from hardware.readings import Rat, Stamp

STAMP = Stamp(at_us=5, time_basis="live", sensor="modem0", file="f", place="packet 1")
PLMNS = st.lists(st.from_regex(r"[0-9]{3}-[0-9]{2,3}", fullmatch=True), min_size=1, max_size=6)


def sib1(plmns: list[str], tac: int, cell: int, *, is_mcc_repeated: bool) -> bytes:
    """Write a SIB1 as far as cellBarred, then ones."""
    bits = "01" + "000" + "0" + f"{len(plmns) - 1:03b}"
    before = ""
    for plmn in plmns:
        mcc, _, mnc = plmn.partition("-")
        if mcc == before and not is_mcc_repeated:
            bits += "0"
        else:
            bits += "1" + "".join(f"{int(digit):04b}" for digit in mcc)
        before = mcc
        bits += str(len(mnc) - 2) + "".join(f"{int(digit):04b}" for digit in mnc) + "1"
    bits += f"{tac:016b}{cell:028b}" + "1"  # not barred
    bits += "1" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8)


@given(PLMNS, st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFF), st.booleans())
def test_what_a_cell_broadcasts_is_read_back(
    plmns: list[str], tac: int, cell: int, is_mcc_repeated: bool
) -> None:
    message = sib1(plmns, tac, cell, is_mcc_repeated=is_mcc_repeated)
    reading = decode_sib1(message, STAMP, earfcn=1300, level_dbm=None)
    assert (reading.rat, reading.plmns, reading.lac_tac) == (Rat.LTE, tuple(plmns), tac)
    assert (reading.cell_id, reading.channel, reading.raw) == (cell, 1300, message)
    assert reading.is_serving


def test_an_omitted_country_code_is_that_of_the_entry_before() -> None:
    message = sib1(["460-00", "460-11", "461-01"], 1, 2, is_mcc_repeated=False)
    assert len(message) < len(sib1(["460-00", "460-11", "461-01"], 1, 2, is_mcc_repeated=True))
    assert decode_sib1(message, STAMP).plmns == ("460-00", "460-11", "461-01")


def bits(text: str) -> bytes:
    text = text.replace(" ", "")
    return int(text.ljust(-(-len(text) // 8) * 8, "0"), 2).to_bytes(-(-len(text) // 8))


@pytest.mark.parametrize(
    ("message", "reason", "is_damage"),
    [
        (b"", "ends inside the message type", True),
        (b"\x80", "later release", False),
        (b"\x40", "ends inside plmn-IdentityList", True),
        (bits("01 000 0 000 0 0 0000 0000 1"), "first PLMN of SIB1 has no MCC", True),
        (bits("01 000 0 000 1 1010 0000 0000 0"), "mcc of SIB1 holds a digit above 9", True),
        (sib1(["460-00"], 1, 2, is_mcc_repeated=True)[:-1], "ends inside cell", True),
        (bits("01 000 0 111" + "1 0000 0000 0000 0 0000 0000 0" * 8), "at most 6", True),
    ],
)
def test_what_is_no_sib1_is_refused(message: bytes, reason: str, is_damage: bool) -> None:
    with pytest.raises(Refused, match=reason) as refusal:
        decode_sib1(message, STAMP)
    assert refusal.value.is_damage is is_damage


@given(st.binary(max_size=40), st.booleans())
def test_any_bytes_are_a_reading_or_refused(tail: bytes, is_sib1: bool) -> None:
    message = b"\x40" * is_sib1 + tail
    try:
        reading = decode_sib1(message, STAMP)
    except Refused:
        return
    assert 1 <= len(reading.plmns) <= 6
