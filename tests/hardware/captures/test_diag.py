"""DIAG streams of our own making: frames, checks, versions of the RRC header. No real file."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.captures.diag import DiagReader, looks_like_diag
from hardware.captures.diag_framing import FrameDecoder, encode
from hardware.readings import (
    CellReading,
    Item,
    NasReading,
    NasType,
    Rat,
    SignallingReading,
    SignalType,
    Unreadable,
)
from hardware.recordings import RecordingKind, read_recording, recognise
from tests.hardware.captures.build import in_chunks
from tests.hardware.captures.test_gsm_rr import si3
from tests.hardware.captures.test_lte_rrc import sib1

SECONDS = 1_400_000_000  # since 1980: the year 2024


def log(code: int, body: bytes, *, at_s: int = SECONDS) -> bytes:
    size = 12 + len(body)
    head = struct.pack("<BBHHHQ", 0x10, 0, size, size, code, at_s * 800 << 16)
    return encode(head + body)


def rrc(version: int, channel: int, message: bytes, *, has_mask: bool = False) -> bytes:
    head = bytes((version, 13, 0)) + (b"\x00\x00" if version >= 25 else b"") + b"\x00\x2c\x01"
    head += struct.pack("<H" if version < 8 else "<I", 1300) + struct.pack("<HB", 77, channel)
    head += bytes(4) if has_mask else b""
    return log(0xB0C0, head + len(message).to_bytes(2, "little") + message)


def read(*frames: bytes) -> list[Item]:
    reader = DiagReader("modem0", "f.qmdl")
    return reader.feed(b"".join(frames)) + reader.close()


@pytest.mark.parametrize(
    ("version", "channel"), [(2, 2), (9, 9), (13, 2), (15, 2), (20, 2), (19, 3), (26, 3), (27, 3)]
)
@pytest.mark.parametrize("has_mask", [False, True])
def test_sib1_is_found_behind_every_version_of_the_header(
    version: int, channel: int, has_mask: bool
) -> None:
    message = sib1(["460-00"], 0x4977, 0xC412C83, is_mcc_repeated=True)
    (cell,) = read(rrc(version, channel, message, has_mask=has_mask))
    assert isinstance(cell, CellReading)
    assert (cell.plmns, cell.lac_tac, cell.cell_id) == (("460-00",), 0x4977, 0xC412C83)
    assert (cell.channel, cell.physical_id) == (1300, 300)
    assert cell.stamp.at_us == (315_964_800 + SECONDS - 18) * 1_000_000


def test_nas_and_gsm_messages_are_read() -> None:
    failure, cell, reject = read(
        log(0xB0ED, b"\x01\x09\x05\x00" + b"\x07\x5c\x14"),
        log(0x512F, b"\x81\x1b\x17" + si3()),
        log(0x512F, b"\x80\x04\x03" + b"\x05\x04\x0f"),
    )
    assert isinstance(failure, NasReading)
    assert (failure.type, failure.cause) == (NasType.AUTHENTICATION_FAILURE, 20)
    assert isinstance(cell, CellReading)
    assert (cell.rat, cell.cell_id, cell.channel) == (Rat.GSM, 0xBEAD, None)
    assert isinstance(reject, SignallingReading)
    assert (reject.type, reject.cause) == (SignalType.LU_REJECT, 15)


def test_a_frame_that_a_newer_modem_wraps_is_read() -> None:
    plain = FrameDecoder().feed(log(0xB0ED, b"\x01\x09\x05\x00" + b"\x07\x5c\x14"))[0].payload
    (failure,) = read(encode(b"\x98\x01\x00\x00\x01\x00\x00\x00" + plain))
    assert isinstance(failure, NasReading)
    assert failure.cause == 20


def test_a_bad_frame_is_damage_and_the_next_one_is_read() -> None:
    good = log(0xB0EC, b"\x01\x09\x05\x00" + b"\x07\x55\x01")
    torn = bytearray(good)
    torn[20] ^= 1
    bad, fine, cut = read(bytes(torn), good, good[:-4])
    assert isinstance(bad, Unreadable)
    assert (bad.is_damage, bad.place) == (True, "frame 1")
    assert "wrong checksum" in bad.reason
    assert isinstance(fine, NasReading)
    assert isinstance(cut, Unreadable)
    assert "breaks off" in cut.reason
    (other,) = read(log(0x1234, b""))
    assert isinstance(other, Unreadable)
    assert not other.is_damage


def test_a_file_is_recognised_by_its_first_frame(tmp_path: Path) -> None:
    stream = log(0xB0EC, b"\x01\x09\x05\x00" + b"\x07\x55\x01")
    assert recognise(stream) is RecordingKind.DIAG
    assert not looks_like_diag(b"no frame\x7e")
    path = tmp_path / "x.qmdl"
    path.write_bytes(stream * 3)
    assert [type(item) for item in read_recording(path)] == [NasReading] * 3


@given(st.lists(st.binary(max_size=80), max_size=6), st.lists(st.integers(0, 500), max_size=4))
def test_any_bytes_in_any_chunks_give_the_same_items(parts: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(
        part if number % 2 else log(0xB0C0 if number % 4 else 0x512F, part)
        for number, part in enumerate(parts)
    )
    whole = read(stream)
    reader = DiagReader("modem0", "f.qmdl")
    pieces = [item for chunk in in_chunks(stream, cuts) for item in reader.feed(chunk)]
    assert pieces + reader.close() == whole
