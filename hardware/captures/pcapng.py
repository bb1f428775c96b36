"""The pcapng format (draft-ietf-opsawg-pcapng): sections, interfaces and packet blocks."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass

from hardware.captures.framing import MAX_PACKET_BYTES, Lost, Packet, Step

SECTION_MAGIC = b"\x0a\x0d\x0d\x0a"
"""Block type of a section header; reads the same in both byte orders."""

MAX_BLOCK_BYTES = 1 << 20

_SECTION, _INTERFACE, _OLD_PACKET, _SIMPLE_PACKET, _PACKET = 0x0A0D0D0A, 1, 2, 3, 6
_ORDERS = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}
_OPTION_TSRESOL, _OPTION_TSOFFSET = 9, 14
_SMALLEST_BLOCK = 12
_PACKET_HEAD = 20  # octets of an enhanced packet block's body before the packet
_MAX_RESOLUTION_DIGITS = 20
_YEAR_10000_US = 253_402_300_800 * 1_000_000


class _BlockError(ValueError):
    """A block whose frame is sound and whose content is not."""


@dataclass(frozen=True, slots=True)
class _Interface:
    link_type: int
    snap_bytes: int
    ticks_per_s: int = 1_000_000
    offset_s: int = 0


class PcapngFraming:
    """Blocks of one pcapng stream; each section brings its own byte order and interfaces.

    A block repeats its length at its end, so that after damage a block is believed if its type is
    one that captures are made of and both lengths agree.
    """

    def __init__(self) -> None:
        self._order = ""
        self._interfaces: list[_Interface] = []
        self._packets = 0
        self._last_us = 0
        self._readers: dict[int, Callable[[bytes, int], Packet | None]] = {
            _SECTION: self._section,
            _INTERFACE: self._interface,
            _OLD_PACKET: self._old_packet,
            _SIMPLE_PACKET: self._simple_packet,
            _PACKET: self._packet,
        }

    # -- framing ------------------------------------------------------------------------------

    def step(self, buffer: bytearray, offset: int) -> Step | Lost | None:
        """Read one block; names, statistics and other bookkeeping are passed over."""
        if len(buffer) < _SMALLEST_BLOCK:
            return None
        order = self._order_at(buffer, 0)
        if not order:
            return Lost("a section header without a byte-order mark")
        kind, length = struct.unpack_from(order + "II", buffer)
        if not _is_length(length):
            return Lost(f"a block claims {length} bytes, at most {MAX_BLOCK_BYTES} are believed")
        if len(buffer) < length:
            return None
        if struct.unpack_from(order + "I", buffer, length - 4)[0] != length:
            return Lost(f"the two lengths of a block of {length} bytes disagree")
        self._order = order
        body = bytes(buffer[8 : length - 4])
        reader = self._readers.get(kind)
        try:
            return Step(length, reader(body, offset) if reader else None)
        except _BlockError as error:
            return Step(length, damage=str(error))

    def _order_at(self, buffer: bytearray, position: int) -> str:
        """Byte order of the block at a position: its own if it is a section header."""
        if buffer[position : position + 4] != SECTION_MAGIC:
            return self._order
        return _ORDERS.get(bytes(buffer[position + 8 : position + 12]), "")

    def search(self, buffer: bytearray, start: int, *, is_end: bool) -> tuple[int, bool]:
        """Look for a block of a known type whose two lengths agree."""
        known = {"": rb"", "<": rb"|[\x01\x02\x03\x06]\x00{3}", ">": rb"|\x00{3}[\x01\x02\x03\x06]"}
        pattern = re.compile(re.escape(SECTION_MAGIC) + known[self._order])
        position = start
        while match := pattern.search(buffer, position):
            position = match.start()
            verdict = self._believes(buffer, position, is_end=is_end)
            if verdict is None:
                return position, False
            if verdict:
                return position, True
            position += 1
        return max(position, len(buffer) - 3), False

    def _believes(self, buffer: bytearray, position: int, *, is_end: bool) -> bool | None:
        there = len(buffer) - position
        if there < _SMALLEST_BLOCK:
            return False if is_end else None
        order = self._order_at(buffer, position)
        if not order:
            return False
        length: int = struct.unpack_from(order + "I", buffer, position + 4)[0]
        if not _is_length(length):
            return False
        if there < length:
            return False if is_end else None
        again: int = struct.unpack_from(order + "I", buffer, position + length - 4)[0]
        return again == length

    def ending(self, buffer: bytearray) -> str:
        """Say how much of the last block is there."""
        if len(buffer) < _SMALLEST_BLOCK or not self._order_at(buffer, 0):
            return f"the capture ends inside the head of a block ({len(buffer)} bytes)"
        length = struct.unpack_from(self._order_at(buffer, 0) + "I", buffer, 4)[0]
        return (
            f"the capture ends inside a block after packet {self._packets} "
            f"({len(buffer)} of {length} bytes)"
        )

    # -- blocks -------------------------------------------------------------------------------

    def _unpack(self, form: str, body: bytes, what: str) -> tuple[int, ...]:
        try:
            return struct.unpack_from(self._order + form, body)
        except struct.error as error:
            raise _BlockError(f"{what} of {len(body)} bytes is too short") from error

    def _section(self, body: bytes, _offset: int) -> None:
        self._interfaces = []
        _, major, _ = self._unpack("IHH", body, "a section header")
        if major != 1:
            raise _BlockError(f"pcapng version {major} is not known")

    def _interface(self, body: bytes, _offset: int) -> None:
        link_type, _, snap = self._unpack("HHI", body, "an interface description")
        options = self._options(body[8:])
        ticks, offset_s = 1_000_000, 0
        if resolution := options.get(_OPTION_TSRESOL):
            exponent = resolution[0] & 0x7F
            base = 2 if resolution[0] & 0x80 else 10
            if exponent > (64 if base == 2 else _MAX_RESOLUTION_DIGITS):
                self._interfaces.append(_Interface(link_type, snap))
                raise _BlockError(f"an interface counts {base}^-{exponent} seconds")
            ticks = base**exponent
        if len(value := options.get(_OPTION_TSOFFSET, b"")) == 8:
            offset_s = struct.unpack(self._order + "q", value)[0]
        self._interfaces.append(_Interface(link_type, snap, ticks, offset_s))

    def _options(self, data: bytes) -> dict[int, bytes]:
        """Read options (type, length, value padded to 4) as far as they are whole."""
        options: dict[int, bytes] = {}
        while len(data) >= 4:
            code, length = struct.unpack_from(self._order + "HH", data)
            if code == 0 or len(data) < 4 + length:
                break
            options[code] = data[4 : 4 + length]
            data = data[4 + length + -length % 4 :]
        return options

    def _packet(self, body: bytes, offset: int) -> Packet:
        head = self._unpack("IIIII", body, "a packet block")
        return self._timed(head[0], head[1] << 32 | head[2], head[3], body, offset)

    def _old_packet(self, body: bytes, offset: int) -> Packet:
        head = self._unpack("HHIIII", body, "a packet block")
        return self._timed(head[0], head[2] << 32 | head[3], head[4], body, offset)

    def _timed(self, index: int, ticks: int, captured: int, body: bytes, offset: int) -> Packet:
        interface = self._of(index)
        at_us = interface.offset_s * 1_000_000 + ticks * 1_000_000 // interface.ticks_per_s
        if not 0 <= at_us < _YEAR_10000_US:
            raise _BlockError(f"packet {self._packets} has a time outside the years 1970 to 9999")
        self._last_us = at_us
        return self._cut(interface, captured, body, _PACKET_HEAD, offset)

    def _simple_packet(self, body: bytes, offset: int) -> Packet:
        """A block without a time: the time of the packet before it stands in."""
        original = self._unpack("I", body, "a simple packet block")[0]
        interface = self._of(0)
        captured = min(original, interface.snap_bytes or original)
        return self._cut(interface, captured, body, 4, offset)

    def _of(self, index: int) -> _Interface:
        self._packets += 1
        if index >= len(self._interfaces):
            raise _BlockError(f"packet {self._packets} names interface {index}, which is unknown")
        return self._interfaces[index]

    def _cut(
        self, interface: _Interface, captured: int, body: bytes, head: int, offset: int
    ) -> Packet:
        if captured > min(len(body) - head, MAX_PACKET_BYTES):
            raise _BlockError(
                f"packet {self._packets} claims {captured} bytes, its block holds "
                f"{len(body) - head} and at most {MAX_PACKET_BYTES} are believed"
            )
        data = body[head : head + captured]
        return Packet(self._packets, self._last_us, interface.link_type, offset, data)


def _is_length(length: int) -> bool:
    return _SMALLEST_BLOCK <= length <= MAX_BLOCK_BYTES and length % 4 == 0
