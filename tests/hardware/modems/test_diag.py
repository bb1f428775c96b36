"""DIAG: frames off a bad line, logs of every header version, masks, and a simulated port."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.clock import SystemClock
from hardware.captures.diag_framing import MAX_FRAME_BYTES, FrameDecoder, crc16_x25, encode
from hardware.captures.diag_logs import LogCode, mask_commands
from hardware.modems.diag import DiagLink, DiagReader
from hardware.readings import CellReading, Item, NasReading, NasType, Rat, Unreadable
from hardware.serial.port import SerialPort
from hardware.simulators.broadcasts import si3, sib1
from hardware.simulators.diag import (
    SimulatedDiag,
    gsm_log,
    log_frame,
    lte_log,
    nas_log,
    nas_messages,
)
from hardware.simulators.nas import attack_capture
from hardware.simulators.scene import CENTRE, GENUINE, Cell, RadioScene
from rf_watch import CellWatch
from tests.hardware.modems.streams import AT_NOON

GSM = Cell(
    rat=Rat.GSM, plmn="460-00", channel=57, lac_tac=0x52A1, cell_id=0x3C07, physical_id=21,
    cro_db=126, penalty_time=31, t3212_decihours=1, rxlev_access_min=5,
)  # fmt: skip
LTE = Cell(
    rat=Rat.LTE, plmn="310-410", channel=66686, lac_tac=0xA4FB, cell_id=0x7A3150B, physical_id=217
)
GOOD = gsm_log(si3(GSM)) + lte_log(sib1(LTE), 217, 66686) + nas_log(b"\x07\x5c\x14", is_uplink=True)


def heard(*chunks: bytes) -> list[Item]:
    reader = DiagReader(sensor="diag0", file="ttyUSB0")
    items = [item for chunk in chunks for item in reader.feed(chunk, AT_NOON)]
    return items + reader.close()


def damages(items: list[Item]) -> list[str]:
    return [item.reason for item in items if isinstance(item, Unreadable) and item.is_damage]


def test_the_checksum_is_x25() -> None:
    assert crc16_x25(b"123456789") == 0x906E  # the check value of the catalogue of CRCs


@given(st.binary(max_size=300), st.integers(1, 17))
def test_every_payload_comes_back_in_any_portions(payload: bytes, size: int) -> None:
    line = encode(payload) + encode(b"~}~}" + payload)
    decoder = FrameDecoder()
    frames = [f for i in range(0, len(line), size) for f in decoder.feed(line[i : i + size])]
    good = [f.payload for f in frames if f.problem is None]
    assert good == [p for p in (payload, b"~}~}" + payload) if p]
    assert decoder.close() == []


def test_the_three_kinds_of_log_are_readings() -> None:
    gsm, lte, nas = heard(GOOD)
    assert isinstance(gsm, CellReading)
    assert (gsm.plmns, gsm.lac_tac, gsm.cell_id) == (("460-00",), 0x52A1, 0x3C07)
    assert (gsm.cro_db, gsm.penalty_time, gsm.t3212_decihours) == (126, 31, 1)
    assert gsm.rxlev_access_min == 5
    assert isinstance(lte, CellReading)
    assert (lte.plmns, lte.lac_tac, lte.cell_id) == (("310-410",), 0xA4FB, 0x7A3150B)
    assert (lte.physical_id, lte.channel) == (217, 66686)  # longer than GSMTAP's 14 bits
    assert isinstance(nas, NasReading)
    assert (nas.type, nas.cause) == (NasType.AUTHENTICATION_FAILURE, 20)
    assert nas.stamp.is_checked
    assert nas.stamp.place.startswith("offset ")


@pytest.mark.parametrize("version", [2, 4, 5, 7, 8, 9, 13, 15, 19, 20, 24, 25, 26, 30])
def test_every_version_of_the_lte_header_is_told(version: int) -> None:
    earfcn = 66686 if version >= 8 else 1650
    [cell] = heard(lte_log(sib1(LTE), 217, earfcn, version=version))
    assert isinstance(cell, CellReading)
    assert (cell.physical_id, cell.channel, cell.cell_id) == (217, earfcn, 0x7A3150B)


def test_another_layout_is_refused_by_its_length() -> None:
    frame = lte_log(sib1(LTE), 217, 1650, version=4)
    payload = bytearray(FrameDecoder().feed(frame)[0].payload)
    payload[16] = 20  # the version says more columns than there are
    [reason] = damages(heard(encode(bytes(payload))))
    assert "Another layout?" in reason


@pytest.mark.parametrize(
    ("frame", "reason", "is_damage"),
    [
        (log_frame(LogCode.GSM_RR, b"\x81\x1b\x17short"), "is cut short", True),
        (log_frame(LogCode.GSM_RR, b"\x02\x1b\x01\x05"), "other than BCCH, CCCH and the", False),
        (log_frame(LogCode.LTE_RRC, b""), "empty LTE RRC", True),
        (log_frame(LogCode.LTE_EMM_IN, b"\x01\x09\x05\x00"), "NAS log packet of 4 bytes", True),
        (log_frame(0x1234, b"x"), "not asked for", False),
        (encode(b"\x10\x00\x05"), "log packet of 3 bytes", True),
        (b"\r\nOK\r\n~", "is this an AT port?", True),
        (b"\x10~", "a frame of 1 bytes", True),
        (b"\x10\x20\x7d~", "torn", True),
        (encode(b"\x10" + bytes(15))[:-4] + b"\x00~", "a wrong checksum", True),
    ],
)
def test_what_cannot_be_read_costs_one_item_and_the_next_is_read(
    frame: bytes, reason: str, is_damage: bool
) -> None:
    first, *rest = heard(frame + GOOD)
    assert isinstance(first, Unreadable)
    assert reason in first.reason
    assert first.is_damage is is_damage
    assert len(rest) == 3
    assert not damages(rest)


def test_ten_megabytes_without_an_end_are_one_error() -> None:
    chunk = b"\x10\x20" * 32 * 1024
    items = heard(*[chunk] * (10 * 1024 // 64), b"~" + GOOD)
    assert len(items) == 4
    assert damages(items) == [f"{10 * 1024 * 1024} bytes without an end"]
    assert MAX_FRAME_BYTES < 64 * 1024


def test_a_doubled_and_an_unfinished_frame() -> None:
    assert len(heard(GOOD + GOOD)) == 6
    items = heard(GOOD, GOOD[:-5])
    assert damages(items)[-1].startswith("the stream breaks off")


@pytest.mark.parametrize("rate", [1e-3, 1e-2])
def test_no_corrupt_log_becomes_a_reading(rate: float) -> None:
    """Bytes flipped, lost and doubled: whatever is read is one of the messages that were sent."""
    rng = random.Random(7)
    sent = GOOD * 400
    line = bytearray()
    for byte in sent:
        if rng.random() >= rate:
            line.append(byte)
            continue
        line += rng.choice([b"", bytes((byte ^ 1 << rng.randrange(8),)), bytes((byte, byte))])
    raws = {item.raw for item in heard(GOOD) if not isinstance(item, Unreadable)}
    items = heard(bytes(line))
    read = [item.raw for item in items if not isinstance(item, Unreadable)]
    assert set(read) <= raws
    assert len(read) > 1200 * (0.85 if rate < 5e-3 else 0.3)
    assert damages(items)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=40), st.just(GOOD), st.just(b"~")), max_size=8))
def test_any_bytes_give_items_and_never_an_error(parts: list[bytes]) -> None:
    stream = b"".join(parts)
    items = heard(stream)
    assert items == heard(*[stream[i : i + 5] for i in range(0, len(stream), 5)])
    assert len(items) <= stream.count(b"~") + 1


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(list(LogCode)), st.binary(max_size=60))
def test_any_log_body_is_read_or_refused(code: LogCode, body: bytes) -> None:
    assert len(heard(log_frame(code, body))) == 1


def test_the_masks_ask_for_our_logs_and_no_other() -> None:
    asked = set()
    for command in mask_commands():
        equipment, count = command[8], int.from_bytes(command[12:16], "little")
        assert len(command) == 16 + (count + 7) // 8
        for item in range(count):
            if command[16 + item // 8] >> item % 8 & 1:
                asked.add(equipment << 12 | item)
    assert asked == set(LogCode)


@pytest.mark.parametrize("is_torn", [False, True])
def test_a_simulated_port_is_asked_read_unplugged_and_read_again(
    tmp_path: Path, is_torn: bool
) -> None:
    scene = RadioScene(GENUINE, CENTRE, lambda: 0.0)
    nas = nas_messages(attack_capture(failures=4))

    async def live(modem: SimulatedDiag) -> tuple[list[Item], DiagReader]:
        reader = DiagReader(sensor="diag0", file="diag")
        items: list[Item] = []
        unplugged = False
        async with SerialPort(str(modem.link), clock=SystemClock()) as port:
            async with asyncio.timeout(30):
                async for item in DiagLink(port, reader, retry_s=2.0).items():
                    items.append(item)
                    cells = [i for i in items if isinstance(i, CellReading)]
                    if len(cells) >= 4 and not unplugged:
                        unplugged = True
                        await asyncio.to_thread(modem.unplug)
                        await asyncio.to_thread(modem.plug_in)
                        seen = len(cells)
                    if unplugged and len(cells) >= seen + 4:
                        break
        return items, reader

    with SimulatedDiag(scene, tmp_path / "d", nas=nas, is_torn=is_torn, period_s=0.1) as modem:
        items, reader = asyncio.run(live(modem))
    assert reader.counters.masks_accepted >= 4
    assert reader.counters.masks_refused == 0
    watch = CellWatch("diag0")
    alerts = [
        detection.alert
        for item in items
        if not isinstance(item, Unreadable)
        for detection in watch.feed(item)
        if detection.alert is not None
    ]
    assert alerts  # the run of MAC failures
    cells = {(i.rat, i.cell_id) for i in items if isinstance(i, CellReading)}
    assert cells == {(Rat.GSM, 0x3C07), (Rat.LTE, 0x7A3150B)}


def test_answers_to_others_questions_are_counted() -> None:
    reader = DiagReader(sensor="diag0", file="d")
    assert reader.feed(encode(b"\x13\x00") + encode(b"\x00version"), AT_NOON) == []
    assert reader.counters.foreign == 2
    refused = encode(b"\x73\0\0\0" + (3).to_bytes(4, "little") + (1).to_bytes(4, "little"))
    [item] = reader.feed(refused, AT_NOON)
    assert isinstance(item, Unreadable)
    assert "refuses a log mask" in item.reason
