"""The classic pcap format (draft-ietf-opsawg-pcap): both byte orders, micro- and nanoseconds."""

from __future__ import annotations

import re
import struct

from hardware.captures.framing import MAX_PACKET_BYTES, Lost, Packet, Step

FILE_HEADER_BYTES = 24
_RECORD_HEADER_BYTES = 16
_MAX_ORIGINAL_BYTES = (1 << 24) - 1
_DAY_S = 86_400

_VARIANTS: dict[bytes, tuple[str, int]] = {
    b"\xd4\xc3\xb2\xa1": ("<", 1_000_000),
    b"\xa1\xb2\xc3\xd4": (">", 1_000_000),
    b"\x4d\x3c\xb2\xa1": ("<", 1_000_000_000),
    b"\xa1\xb2\x3c\x4d": (">", 1_000_000_000),
}
"""Magic number to byte order and fractions per second."""

MAGICS = frozenset(_VARIANTS)


def _record_pattern(order: str, fractions: int) -> re.Pattern[bytes]:
    """Return a look-ahead that only a believable record header passes, at the speed of ``re``.

    Seconds may be anything; the fraction is below one second; the captured length is at most
    MAX_PACKET_BYTES (0x40000) and not zero, the original one has three octets at most.
    """
    is_micro = fractions == 1_000_000
    if order == "<":
        fraction = rb"..[\x00-\x0f]\x00" if is_micro else rb"...[\x00-\x3b]"
        lengths = rb"..[\x00-\x04]\x00...\x00"
    else:
        fraction = rb"\x00[\x00-\x0f].." if is_micro else rb"[\x00-\x3b]..."
        lengths = rb"\x00[\x00-\x04]..\x00..."
    return re.compile(rb"(?=...." + fraction + rb"(?!\x00{4})" + lengths + rb")", re.DOTALL)


class ClassicFraming:
    """Records of one classic pcap stream, after its file header.

    The format has no synchronisation mark. After damage a record is believed if its header is
    sound, its time lies within a day of the packet before the damage, and a second sound header
    (or the end of the capture) follows exactly where it says.
    """

    def __init__(self, header: bytes) -> None:
        """Take the 24 octets of the file header, whose magic number is one of MAGICS."""
        self._header = header
        self._order, self._fractions = _VARIANTS[header[:4]]
        self._record = struct.Struct(self._order + "IIII")
        self.version, self._link_type = struct.unpack(self._order + "4xH14xI", header)
        self._link_type &= 0xFFFF  # the upper bits speak of frame check sequences
        self._pattern = _record_pattern(self._order, self._fractions)
        self._packets = 0
        self._last_s: int | None = None

    def step(self, buffer: bytearray, offset: int) -> Step | Lost | None:
        """Read one record header and its packet.

        The file header may come again: captures are appended to each other, and streams repeat.
        """
        if len(buffer) < _RECORD_HEADER_BYTES:
            return None
        if self._header.startswith(buffer[:FILE_HEADER_BYTES]):
            return Step(FILE_HEADER_BYTES) if len(buffer) >= FILE_HEADER_BYTES else None
        seconds, fraction, captured, original = self._record.unpack_from(buffer)
        if not self._is_sound(fraction, captured, original):
            return Lost(
                f"the header of packet {self._packets + 1} cannot be: {captured} of {original} "
                f"bytes at {fraction}/{self._fractions} second"
            )
        end = _RECORD_HEADER_BYTES + captured
        if len(buffer) < end:
            return None
        self._packets += 1
        self._last_s = seconds
        at_us = seconds * 1_000_000 + fraction * 1_000_000 // self._fractions
        data = bytes(buffer[_RECORD_HEADER_BYTES:end])
        return Step(end, Packet(self._packets, at_us, self._link_type, offset, data))

    def search(self, buffer: bytearray, start: int, *, is_end: bool) -> tuple[int, bool]:
        """Look for two sound headers in a row, or one whose packet ends the capture."""
        position = start
        while match := self._pattern.search(buffer, position):
            position = match.start()
            verdict = self._believes(buffer, position, is_end=is_end)
            if verdict is None:
                return position, False
            if verdict:
                return position, True
            position += 1
        return max(position, len(buffer) - _RECORD_HEADER_BYTES + 1), False

    def _believes(self, buffer: bytearray, position: int, *, is_end: bool) -> bool | None:
        """Whether a record starts there; None while too few bytes are there to tell."""
        seconds, fraction, captured, original = self._record.unpack_from(buffer, position)
        if not self._is_sound(fraction, captured, original):
            return False
        if self._last_s is not None and abs(seconds - self._last_s) > _DAY_S:
            return False
        following = position + _RECORD_HEADER_BYTES + captured
        if len(buffer) < following + _RECORD_HEADER_BYTES:
            return following <= len(buffer) if is_end else None
        next_s, *rest = self._record.unpack_from(buffer, following)
        return self._is_sound(*rest) and abs(next_s - seconds) <= _DAY_S

    def _is_sound(self, fraction: int, captured: int, original: int) -> bool:
        # a packet of no bytes is none: zeros are what a power cut leaves at the end of a file
        is_length = 0 < original <= _MAX_ORIGINAL_BYTES
        is_captured = captured <= min(original, MAX_PACKET_BYTES)
        return is_length and is_captured and fraction < self._fractions

    def ending(self, buffer: bytearray) -> str:
        """Say how much of the last packet is there."""
        number = self._packets + 1
        if len(buffer) < _RECORD_HEADER_BYTES:
            return (
                f"the capture ends inside the header of packet {number} "
                f"({len(buffer)} of {_RECORD_HEADER_BYTES} bytes)"
            )
        captured = self._record.unpack_from(buffer)[2]
        there = len(buffer) - _RECORD_HEADER_BYTES
        return f"the capture ends inside packet {number} ({there} of {captured} bytes)"
