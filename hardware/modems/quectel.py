"""The Quectel dialect: EC2x and EG25 (GSM, WCDMA, LTE), RM5xx (LTE, NR), live or from a log."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hardware.modems.at import (
    Line,
    LineKind,
    LineSplitter,
    kind_of,
    name_of,
    without_long_numbers,
)
from hardware.modems.interface import Arrival
from hardware.modems.quectel_lines import LineError, is_cell_line, is_serving_header, parse
from hardware.readings import Item, Stamp, Unreadable

_RAW_BYTES = 512
_ROUND_US = 1_000_000
_BOM = b"\xef\xbb\xbf"
_TRANSCRIPT_LINE = re.compile(rb"^\s*(?:AT)?\+Q(?:ENG|SCAN)\b", re.MULTILINE)
_BARE_NUMBER = re.compile(rb"[0-9]{14,}F?")

SERVING = b'AT+QENG="servingcell"\r'
NEIGHBOURS = b'AT+QENG="neighbourcell"\r'


class QuectelDialect:
    """Asks for the serving cell and its neighbours; reads +QSCAN answers as well.

    AT+QSCAN keeps a modem busy for up to six minutes, so it is no part of a round.
    """

    name = "quectel"

    def __init__(self, *, sensor: str, file: str) -> None:
        self._sensor = sensor
        self._file = file
        self._splitter = LineSplitter()

    def poll(self) -> Sequence[bytes]:
        """Serving cell, then neighbours."""
        return (SERVING, NEIGHBOURS)

    def feed(self, data: bytes, arrival: Arrival) -> list[Item]:
        """Return one item for each line that names a cell or cannot be read; see ModemDialect."""
        items: list[Item] = []
        for line in self._splitter.feed(data):
            item = self._read(line, arrival)
            if item is not None:
                items.append(item)
        return items

    def close(self) -> list[Item]:
        """A line without its end cannot be trusted: its last number may be half a number."""
        return [
            self._refuse(line, "the stream breaks off within this line")
            for line in self._splitter.close()
        ]

    def _read(self, line: Line, arrival: Arrival) -> Item | None:
        """Read a line; None for an echo, a final result and a state without a cell."""
        if line.is_overlong:
            return self._refuse(line, f"a line of {line.length} bytes")
        if not is_cell_line(line.data):
            return self._pass_over(line)
        try:
            cell = parse(line.data)
        except LineError as problem:
            return self._refuse(line, str(problem))
        if cell is None:
            return None
        stamp = Stamp(
            at_us=arrival.at_us,
            time_basis=arrival.time_basis,
            sensor=self._sensor,
            file=self._file,
            place=f"line {line.number}",
            received_us=arrival.received_us,
        )
        return cell.reading(stamp, line.data)

    def _pass_over(self, line: Line) -> Item | None:
        kind = kind_of(line.data)
        if kind in {LineKind.ECHO, LineKind.OK, LineKind.ERROR}:
            return None
        if kind in {LineKind.NAMED, LineKind.WORD}:
            # of a named line only the name is kept: the rest may be a caller or a message
            name = name_of(line.data) or line.data
            reason = f"{name.decode()} is passed over"
            return self._unreadable(line, reason, name, is_damage=False)
        if _BARE_NUMBER.fullmatch(line.data):
            return self._unreadable(line, "a bare number, not kept", b"", is_damage=False)
        return self._refuse(line, "no line of this dialect")

    def _refuse(self, line: Line, reason: str) -> Unreadable:
        return self._unreadable(line, reason, line.data, is_damage=True)

    def _unreadable(self, line: Line, reason: str, raw: bytes, *, is_damage: bool) -> Unreadable:
        return Unreadable(
            file=self._file,
            place=f"line {line.number}",
            reason=reason,
            raw=without_long_numbers(raw)[:_RAW_BYTES],
            is_damage=is_damage,
        )


# -- recorded transcripts -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Round:
    """One command with its answer, as a recording holds it."""

    command: bytes | None
    """As echoed, without its end; None where the recording has no echo."""
    lines: tuple[bytes, ...]
    """The lines, echo and all, each with its end."""


def looks_like_transcript(head: bytes) -> bool:
    """Whether a file that begins like this is a log of Quectel AT answers."""
    return b"\0" not in head and _TRANSCRIPT_LINE.search(head.removeprefix(_BOM)) is not None


def rounds(content: bytes) -> Iterator[Round]:
    """Cut a recording into rounds; joined together their lines are the recording.

    A round begins with an echo (repeated echoes count once), with an answer after a final result,
    or with the next serving cell where nothing stands between two of them.
    """
    command: bytes | None = None
    lines: list[bytes] = []
    has_answer = has_serving = is_over = False
    for line in content.splitlines(keepends=True):
        text = line.strip()
        kind = kind_of(text)
        is_new_echo = kind is LineKind.ECHO and (has_answer or is_over or text != command)
        is_answer = is_cell_line(text)
        is_new_answer = is_answer and (is_over or (has_serving and is_serving_header(text)))
        if lines and (is_new_echo or is_new_answer) and (has_answer or is_over or command):
            yield Round(command, tuple(lines))
            command, lines = None, []
            has_answer = has_serving = is_over = False
        if kind is LineKind.ECHO:
            command = text
        has_answer = has_answer or is_answer
        has_serving = has_serving or is_serving_header(text)
        is_over = is_over or kind in {LineKind.OK, LineKind.ERROR}
        lines.append(line)
    if lines:
        yield Round(command, tuple(lines))


def read_transcript(
    content: bytes, file: str, sensor: str, start_us: int | None = None
) -> Iterator[Item]:
    """Read a recorded log of Quectel AT answers, whose lines bear no times.

    Each command with its answer takes one second, counted from ``start_us`` (microseconds since
    1970, ``recorded``), or else from 1970-01-01T00:00:00Z (``synthetic``). Places are lines of
    the file, counted from 1. Never raises.
    """
    dialect = QuectelDialect(sensor=sensor, file=file)
    body = content.removeprefix(_BOM)
    if not body.endswith((b"\r", b"\n")):
        body += b"\n"  # the last line of a text is whole without it
    for index, one in enumerate(rounds(body)):
        arrival = Arrival(
            at_us=(start_us or 0) + index * _ROUND_US,
            time_basis="synthetic" if start_us is None else "recorded",
        )
        yield from dialect.feed(b"".join(one.lines), arrival)
