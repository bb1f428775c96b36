"""Cutting a byte stream of an instrument into lines, whatever chunks it comes in."""

from __future__ import annotations

from dataclasses import dataclass

MAX_LINE_BYTES = 4 * 1024 * 1024
"""A row of rtl_power with 500,000 bins is shorter; what goes on without an end is noise."""


@dataclass(frozen=True, slots=True)
class TextLine:
    """One line without its end and outer blanks."""

    number: int
    """Counted from 1 by line feeds."""
    data: bytes
    is_overlong: bool = False
    """``data`` is only the beginning."""


class LineCutter:
    """Cuts at line feeds; carriage returns and blanks around a line go, blank lines too."""

    def __init__(self, max_bytes: int = MAX_LINE_BYTES) -> None:
        self._max_bytes = max_bytes
        self._number = 1
        self._data = bytearray()
        self._is_overlong = False

    def feed(self, data: bytes) -> list[TextLine]:
        """Take the next bytes; return the lines that they complete."""
        parts = data.split(b"\n")
        lines: list[TextLine] = []
        for part in parts[:-1]:
            self._keep(part)
            lines += self._cut()
            self._number += 1
        self._keep(parts[-1])
        return lines

    def close(self) -> list[TextLine]:
        """Return the unfinished line, if there is one, and start afresh."""
        return self._cut()

    def _keep(self, part: bytes) -> None:
        room = self._max_bytes - len(self._data)
        self._is_overlong = self._is_overlong or len(part) > room
        self._data += part[:room]

    def _cut(self) -> list[TextLine]:
        line = TextLine(self._number, bytes(self._data).strip(), self._is_overlong)
        self._data.clear()
        self._is_overlong = False
        return [line] if line.data else []
