"""Frames of Qualcomm's DIAG protocol, off a port or a file: HDLC-like, with CRC-16/X-25.

A frame is payload and checksum (low byte first), 0x7E and 0x7D in them escaped as 0x7D and the
byte with bit 5 turned, then 0x7E. There is no beginning mark: after damage the next 0x7E is the
place to go on.
"""

from __future__ import annotations

import binascii
from dataclasses import dataclass

END, ESCAPE, FLIP = 0x7E, 0x7D, 0x20
MAX_FRAME_BYTES = 16 * 1024
"""Longer than any log packet; what goes on without an end is noise."""

_SHORTEST = 3  # a command byte and the checksum


_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def crc16_x25(data: bytes) -> int:
    """CRC-16/X-25 (ITU-T X.25 section 2.2.7.4): 0x906E for ``123456789``."""
    crc = binascii.crc_hqx(data.translate(_REVERSED), 0xFFFF)  # the same polynomial, not reflected
    return int(f"{crc:016b}"[::-1], 2) ^ 0xFFFF


def encode(payload: bytes) -> bytes:
    """Return a frame for the line."""
    body = payload + crc16_x25(payload).to_bytes(2, "little")
    body = body.replace(b"\x7d", b"\x7d\x5d").replace(b"\x7e", b"\x7d\x5e")
    return body + bytes((END,))


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame off the line; ``problem`` says what is wrong with it."""

    offset: int
    """Where it begins, bytes since the link was opened."""
    payload: bytes
    problem: str | None = None


class FrameDecoder:
    """Cuts a byte stream into frames, whatever chunks it comes in."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._length = 0
        self._offset = 0

    def feed(self, data: bytes) -> list[Frame]:
        """Take the next bytes; return the frames that they complete, bad ones among them."""
        *whole, rest = data.split(bytes((END,)))
        frames = []
        for part in whole:
            self._keep(part)
            frame = self._cut(1)
            if frame is not None:
                frames.append(frame)
        self._keep(rest)
        return frames

    def close(self) -> list[Frame]:
        """Return the unfinished frame as damage, if there is one, and start afresh."""
        length, frame = self._length, self._cut(0)
        self._offset = 0
        if frame is None:
            return []
        return [Frame(frame.offset, b"", f"the stream breaks off {length} bytes into a frame")]

    def _keep(self, part: bytes) -> None:
        self._length += len(part)
        self._data += part[: MAX_FRAME_BYTES - len(self._data)]

    def _cut(self, end_bytes: int) -> Frame | None:
        offset, length, data = self._offset, self._length, bytes(self._data)
        self._offset += length + end_bytes
        self._data.clear()
        self._length = 0
        if not length:
            return None  # an end twice: idle, or ours to wake the other side
        if length > MAX_FRAME_BYTES:
            return Frame(offset, b"", f"{length} bytes without an end")
        return _read(offset, data)


def _read(offset: int, data: bytes) -> Frame:
    body = _unescaped(data)
    if body is None:
        return Frame(offset, b"", "it ends inside an escape: torn")
    if len(body) < _SHORTEST:
        return Frame(offset, b"", f"a frame of {len(body)} bytes")
    payload, checksum = body[:-2], int.from_bytes(body[-2:], "little")
    if crc16_x25(payload) != checksum:
        if is_text(data):
            return Frame(offset, b"", "text where DIAG frames belong: is this an AT port?")
        return Frame(offset, b"", f"a wrong checksum on {len(payload)} bytes")
    return Frame(offset, payload)


def _unescaped(data: bytes) -> bytes | None:
    first, *parts = data.split(bytes((ESCAPE,)))
    body = bytearray(first)
    for part in parts:
        if not part:
            return None  # an escape of an escape, or at the end
        body.append(part[0] ^ FLIP)
        body += part[1:]
    return bytes(body)


def is_text(data: bytes) -> bool:
    """Whether bytes look like lines of text."""
    return bool(data) and all(32 <= byte < 127 or byte in b"\r\n\t" for byte in data)
