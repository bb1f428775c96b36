"""Short messages that a modem prints between its answers: readings, and no word in an error."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.words import AlertKind, Level
from hardware.modems.families import DIALECTS
from hardware.modems.interface import Arrival
from hardware.readings import CellReading, Item, MessageReading, Rat, Unreadable
from rf_watch import CellWatch

AT_NOON = Arrival(at_us=1_700_000_000_000_000, time_basis="live", received_us=1)
PDU = b"07917283010010F5040BC87238880900F10000993092516195800AE8329BFD4697D9EC37"
FAKE = (  # an operator on the other one's carrier
    b'+QENG: "servingcell","NOCONN","GSM",460,01,1001,0F2B,10,62,-,-55,255,255,0,51,51,1,'
    b'-,-,-,-,-,-,-,-,-,"-"'
)
LTE = (
    b'+QENG: "servingcell","NOCONN","LTE","FDD",460,01,9A3150B,217,1650,3,5,5,52A1,-92,-9,-65,15,38'
)


def heard(*lines: bytes, family: str = "quectel") -> list[Item]:
    modem = DIALECTS[family](sensor="modem0", file="ttyUSB2")
    return modem.feed(b"\r\n".join((*lines, b"")), AT_NOON)


@pytest.mark.parametrize("family", sorted(DIALECTS))
@pytest.mark.parametrize("head", [b"+CMT: ,24", b'+CMT: "",24', b"+CMGR: 0,,24", b"+CMGL: 1,0,,24"])
def test_a_message_as_pdu_is_read_in_every_dialect(family: str, head: bytes) -> None:
    tpdu_bytes = len(PDU) // 2 - 8
    [item] = heard(head.replace(b"24", b"%d" % tpdu_bytes), PDU, family=family)
    assert isinstance(item, MessageReading)
    assert (item.sender, item.text, item.rat) == ("27838890001", "hellohello", Rat.GSM)
    assert (item.sent, item.stamp.place) == ("1999-03-29T15:16:59+02:00", "line 2")
    assert item.raw == bytes.fromhex(PDU.decode())[8:]
    assert "27838890001" not in repr(item)


def test_a_message_in_text_mode_is_read_plain_and_as_ucs2() -> None:
    [plain] = heard(b'+CMT: "95588",,"26/11/25,10:00:00+32"', b"hello")
    assert isinstance(plain, MessageReading)
    assert (plain.sender, plain.text) == ("95588", "hello")
    assert plain.sent == "2026-11-25T10:00:00+08:00"
    sender, text = ("95588".encode("utf-16-be").hex(), "积分".encode("utf-16-be").hex())
    [wide] = heard(
        b'+CMGR: "REC UNREAD","%b",,"26/11/25,10:00:00+32"' % sender.encode(), text.encode()
    )
    assert isinstance(wide, MessageReading)
    assert (wide.sender, wide.text) == ("95588", "积分")


def test_a_message_belongs_to_the_technology_that_serves() -> None:
    cell, message = heard(LTE, b'+CMT: "95588",,"26/11/25,10:00:00+32"', b"hello")
    assert isinstance(cell, CellReading)
    assert isinstance(message, MessageReading)
    assert message.rat is Rat.LTE


@pytest.mark.parametrize(
    ("head", "line", "reason"),
    [
        (b"+CMT: ,28", b"secret words", "no PDU after"),
        (b"+CMT: ,28", PDU[:-2], "its head says 28"),
        (b"+CMT: ,3", b"00AABBCC", "short message"),
        (b'+CMGL: 1,"STO SENT","95588",', b"secret words", "own"),
        (b"+CMT: nothing", b"secret words", "names no sender"),
    ],
)
def test_what_cannot_be_read_is_one_error_without_a_word_of_it(
    head: bytes, line: bytes, reason: str
) -> None:
    [item] = heard(head, line)
    assert isinstance(item, Unreadable)
    assert reason in item.reason
    assert item.is_damage
    assert item.raw == b""


def test_an_answer_in_the_messages_place_is_read_as_what_it_is() -> None:
    [cell] = heard(b"+CMT: ,24", LTE)
    assert isinstance(cell, CellReading)


def test_a_banks_number_from_a_cell_that_cannot_be_confirms_it() -> None:
    watch = CellWatch("van-1")
    lines = [FAKE, FAKE, b'+CMT: "95588",,"26/11/25,10:00:00+32"', b"points expire, click"]
    out = [found for item in heard(*lines) for found in watch.feed(item)]  # type: ignore[arg-type]
    rules = {reason.rule for found in out for reason in found.reasons}
    assert "SPOOFED_SENDER" in rules
    assert (out[-1].level, out[-1].alert) == (Level.CONFIRMED, AlertKind.FAKE_BTS_CONFIRMED)
    assert "points" not in repr(out)


@given(
    st.lists(st.sampled_from([b"+CMT: ", b"+CMGR: ", b",24", b'"', PDU, b"\r\n", b"\xff", b"1"]))
)
def test_any_bytes_never_raise(parts: list[bytes]) -> None:
    for item in heard(b"".join(parts)):
        assert isinstance(item, MessageReading | Unreadable)
