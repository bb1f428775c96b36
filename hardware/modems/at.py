"""Lines of an AT command link (ITU-T V.250): cutting the byte stream, and what a line is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto

MAX_LINE_BYTES = 1024
"""Longer than any answer line; what goes on without an end is noise, not a line."""

_LINE_END = re.compile(rb"[\r\n]")
_ECHO = re.compile(rb"AT(?:[+^#&$%*][ -~]*|[A-Z]?[0-9]{0,3})", re.IGNORECASE)
_ERROR = re.compile(rb"ERROR|NO CARRIER|\+CM[ES] ERROR:.*")
_NAMED = re.compile(rb"([+^#$%*][A-Z][A-Z0-9_]{1,15})(?::.*)?")
_WORDS = frozenset(
    b"RING|RDY|APP RDY|CONNECT|BUSY|NO ANSWER|NO DIALTONE|POWERED DOWN|NORMAL POWER DOWN"
    b"|SMS DONE|PB DONE|CALL READY".split(b"|")
)
_LONG_NUMBER = re.compile(rb"[0-9]{11,}")


@dataclass(frozen=True, slots=True)
class Line:
    """One line without its end."""

    number: int
    """Counted from 1 by line feeds, as an editor counts."""
    data: bytes
    """At most MAX_LINE_BYTES of it, outer blanks removed."""
    length: int
    """Bytes that came."""

    @property
    def is_overlong(self) -> bool:
        """``data`` is only the beginning."""
        return self.length > MAX_LINE_BYTES


class LineSplitter:
    """Cuts a byte stream into lines, whatever chunks it comes in; blank lines are left out."""

    def __init__(self) -> None:
        self._number = 1
        self._data = bytearray()
        self._length = 0

    def feed(self, data: bytes) -> list[Line]:
        """Take the next bytes; return the lines that they complete."""
        lines: list[Line] = []
        start = 0
        for end in _LINE_END.finditer(data):
            self._keep(data[start : end.start()])
            lines += self._cut()
            self._number += end.group() == b"\n"
            start = end.end()
        self._keep(data[start:])
        return lines

    def close(self) -> list[Line]:
        """Return the unfinished line, if there is one, and start afresh."""
        return self._cut()

    def _keep(self, part: bytes) -> None:
        self._length += len(part)
        self._data += part[: MAX_LINE_BYTES - len(self._data)]

    def _cut(self) -> list[Line]:
        line = Line(self._number, bytes(self._data).strip(), self._length)
        self._data.clear()
        self._length = 0
        return [line] if line.data else []


class LineKind(Enum):
    """What a line is to someone who waits for an answer."""

    ECHO = auto()
    """The command itself, as ATE1 repeats it."""
    OK = auto()
    ERROR = auto()
    """A final result that is not OK."""
    NAMED = auto()
    """``+NAME: ...``: an information response or an unsolicited one."""
    WORD = auto()
    """An unsolicited word such as RING or RDY."""
    OTHER = auto()


def kind_of(line: bytes) -> LineKind:
    """Tell what a line is."""
    if line == b"OK":
        return LineKind.OK
    if _ERROR.fullmatch(line):
        return LineKind.ERROR
    if _NAMED.fullmatch(line):
        return LineKind.NAMED
    if line in _WORDS:
        return LineKind.WORD
    return LineKind.ECHO if _ECHO.fullmatch(line) else LineKind.OTHER


def name_of(line: bytes) -> bytes:
    """``+CREG`` of ``+CREG: 1``; empty for a line that carries no name."""
    match = _NAMED.fullmatch(line)
    return match.group(1) if match else b""


def without_long_numbers(line: bytes) -> bytes:
    """Blank numbers of 11 digits or more: telephone numbers, IMSI, IMEI and ICCID are no evidence.

    No number of a cell is that long in decimal; the longest is the NCI, 9 hexadecimal digits.
    """
    return _LONG_NUMBER.sub(lambda number: b"*" * len(number.group()), line)
