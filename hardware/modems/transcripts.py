"""Recorded logs of AT answers: cut into rounds; a second each where the lines bear no times."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hardware.modems.at import LineKind, kind_of
from hardware.modems.interface import Arrival
from hardware.modems.lines import LineDialect
from hardware.modems.stamps import Stamped, unstamp
from hardware.readings import Item, TimeBasisWord

_ROUND_US = 1_000_000
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Round:
    """One command with its answer, as a recording holds it."""

    command: bytes | None
    """As echoed, without its end; None where the recording has no echo."""
    lines: tuple[bytes, ...]
    """The lines, echo and all, each with its end."""


def rounds(content: bytes, dialect: LineDialect) -> Iterator[Round]:
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
        is_answer = dialect.is_cell_line(text)
        is_start = dialect.starts_round(text)
        is_new_answer = is_answer and (is_over or (has_serving and is_start))
        if lines and (is_new_echo or is_new_answer) and (has_answer or is_over or command):
            yield Round(command, tuple(lines))
            command, lines = None, []
            has_answer = has_serving = is_over = False
        if kind is LineKind.ECHO:
            command = text
        has_answer = has_answer or is_answer
        has_serving = has_serving or is_start
        is_over = is_over or kind in {LineKind.OK, LineKind.ERROR}
        lines.append(line)
    if lines:
        yield Round(command, tuple(lines))


def read_rounds(
    content: bytes, dialect: LineDialect, start_us: int | None = None
) -> Iterator[Item]:
    """Read a recorded log of AT answers.

    Where a terminal program wrote times before the lines, a round has the time of its first line:
    ``recorded`` with dates, else counted from the day's beginning (or ``start_us``). Otherwise each
    command with its answer takes one second, counted from ``start_us`` (microseconds since 1970,
    ``recorded``), or else from 1970-01-01T00:00:00Z (``synthetic``). Places are lines of the file,
    counted from 1. Never raises.
    """
    body = content.removeprefix(BOM)
    if not body.endswith((b"\r", b"\n")):
        body += b"\n"  # the last line of a text is whole without it
    stamped = unstamp(body)
    times = _Times(stamped, start_us)
    line = 0
    for index, one in enumerate(rounds(body if stamped is None else stamped.content, dialect)):
        arrival = times.arrival(index, line, line + len(one.lines))
        line += len(one.lines)
        yield from dialect.feed(b"".join(one.lines), arrival)


class _Times:
    """When the rounds of a log were."""

    def __init__(self, stamped: Stamped | None, start_us: int | None) -> None:
        self._stamped = stamped
        self._start_us = start_us
        self._last_us = start_us or 0
        self._offset_us: int | None = None
        is_dated = start_us is not None or (stamped is not None and stamped.has_dates)
        self._basis: TimeBasisWord = "recorded" if is_dated else "synthetic"

    def arrival(self, index: int, first: int, end: int) -> Arrival:
        """Return the time of the round with these lines."""
        if self._stamped is None:
            at_us = (self._start_us or 0) + index * _ROUND_US
            return Arrival(at_us=at_us, time_basis=self._basis)
        told = next((t for t in self._stamped.times_us[first:end] if t is not None), None)
        if told is not None:
            if self._offset_us is None:
                is_own = self._stamped.has_dates or self._start_us is None
                self._offset_us = 0 if is_own else (self._start_us or 0) - told
            self._last_us = told + self._offset_us
        return Arrival(at_us=self._last_us, time_basis=self._basis)
