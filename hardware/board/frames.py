"""Frames of the board link, without I/O: COBS + CRC-32, ended by a zero byte."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from hardware.board.table import HEADER, MAX_PAYLOAD, PROTOCOL

_HEADER = struct.Struct(HEADER)
_CRC = struct.Struct("<I")
_WIRE_MAX = _HEADER.size + MAX_PAYLOAD + _CRC.size + 1
RETRY = 0x2
"""Flag of a command that is sent again."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame that passed its check."""

    version: int
    flags: int
    type: int
    seq: int
    board_ms: int
    """Milliseconds since the board started, modulo 2^32; 0 from a host."""
    payload: bytes


def stuff(data: bytes) -> bytes:
    """COBS (Cheshire and Baker, 1999): no zero in it."""
    out = bytearray()
    at = 0
    while at <= len(data):
        zero = data.find(0, at, at + 254)
        end = zero if zero >= 0 else min(at + 254, len(data))
        out.append(end - at + 1)
        out += data[at:end]
        is_last = end == len(data)
        if is_last:
            break
        at = end + 1 if zero >= 0 else end
    return bytes(out)


def unstuff(data: bytes) -> bytes | None:
    """Undo COBS; None where it is torn."""
    out = bytearray()
    at = 0
    length = len(data)
    while at < length:
        code = data[at]
        end = at + code
        if code == 0 or end > length:
            return None
        out += data[at + 1 : end]
        at = end
        if code != 255 and at < length:
            out.append(0)
    return bytes(out)


def encode(kind: int, seq: int, payload: bytes, *, flags: int = 0, board_ms: int = 0) -> bytes:
    """A frame as it goes on the wire, its zero included."""
    if len(payload) > MAX_PAYLOAD:
        raise ValueError(f"a payload of {len(payload)} bytes, {MAX_PAYLOAD} fit")
    body = _HEADER.pack(PROTOCOL << 4 | flags, kind, seq & 0xFFFF, board_ms & 0xFFFFFFFF) + payload
    return stuff(body + _CRC.pack(zlib.crc32(body))) + b"\0"


def decode(wire: bytes) -> Frame | None:
    """Read what stood between two zeros; None when the check fails."""
    body = unstuff(wire)
    if body is None or len(body) < _HEADER.size + _CRC.size:
        return None
    body, check = body[: -_CRC.size], body[-_CRC.size :]
    if _CRC.pack(zlib.crc32(body)) != check:
        return None
    first, kind, seq, board_ms = _HEADER.unpack_from(body)
    return Frame(first >> 4, first & 0xF, kind, seq, board_ms, body[_HEADER.size :])


class FrameReader:
    """Bytes in any chunks to frames; damage costs the frame it hits and is counted."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._is_overlong = False
        self.good = 0
        self.bad = 0
        """Runs of bytes between zeros that were no frame."""

    def feed(self, data: bytes) -> list[Frame]:
        """Take bytes; return the frames they complete. Never raises."""
        frames: list[Frame] = []
        *whole, rest = data.split(b"\0")
        for part in whole:
            self._append(part)
            frames += self._end()
        self._append(rest)
        return frames

    def reset(self) -> None:
        """Bytes are missing here: what was begun is no frame any more."""
        if self._buffer:
            self.bad += 1
        self._buffer.clear()
        self._is_overlong = False

    def _append(self, part: bytes) -> None:
        if len(self._buffer) + len(part) > _WIRE_MAX:
            self._is_overlong = True  # and 10 MB without a zero take no memory
            self._buffer[:] = b"\1"
        else:
            self._buffer += part

    def _end(self) -> list[Frame]:
        if not self._buffer:
            return []
        frame = None if self._is_overlong else decode(bytes(self._buffer))
        self._buffer.clear()
        self._is_overlong = False
        if frame is None:
            self.bad += 1
            return []
        self.good += 1
        return [frame]
