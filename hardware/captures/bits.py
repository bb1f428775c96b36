"""Bit fields of unaligned PER (ITU-T X.691), as far as LTE's RRC messages need it."""

from __future__ import annotations

from hardware.captures.refusal import Refused


class BitReader:
    """Reads bit fields from the most significant end; raises Refused where the message ends."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data)
        self._left = 8 * len(data)

    def take(self, width: int, what: str) -> int:
        """Return the next ``width`` bits as a number; ``what`` names them in the error."""
        if width > self._left:
            raise Refused(f"the message ends inside {what}")
        self._left -= width
        return self._value >> self._left & ((1 << width) - 1)

    def flags(self, count: int, what: str) -> list[bool]:
        """Return ``count`` presence bits."""
        bits = self.take(count, what)
        return [bool(bits >> (count - 1 - index) & 1) for index in range(count)]

    def optional(self, is_there: bool, width: int, what: str) -> int | None:
        """Return a field that a presence bit announced."""
        return self.take(width, what) if is_there else None

    def skip_extensions(self, is_extended: bool, what: str) -> None:
        """Pass over extension additions (X.691 section 19.7): a bit map, then open types."""
        if not is_extended:
            return
        if self.take(1, what):
            raise Refused(f"{what} with more than 64 extensions")
        present = self.flags(self.take(6, what) + 1, what)
        for _ in range(sum(present)):
            self._skip_open_type(what)

    def _skip_open_type(self, what: str) -> None:
        length = self.take(8, what)
        if length & 0x80:
            if length & 0x40:
                raise Refused(f"{what} with a fragmented extension")
            length = (length & 0x3F) << 8 | self.take(8, what)
        self.take(8 * length, what)
