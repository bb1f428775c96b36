"""Times as logs write them: dates in the orders of the world, Unix seconds, a clock without a date.

A date that may be read two ways (03/04/2026) is settled by another line of the same log; if none
settles it, the log has a clock and no date.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from dataclasses import dataclass

_CLOCK = r"(\d\d?)[:.时](\d\d)(?:[:.分](\d\d)(?:[.,](\d{1,9}))?秒?)?"
_ZONE = r"\s*(Z|UTC|GMT|[+-]\d\d:?\d\d)?"
_YEAR_FIRST = re.compile(r"(\d{4})[-/.年](\d\d?)[-/.月](\d\d?)日?")
_YEAR_LAST = re.compile(r"(\d\d?)([-/.])(\d\d?)[-/.](\d{4})")
_TIME = re.compile(_CLOCK + r"\s*(AM|PM)?" + _ZONE, re.IGNORECASE)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_DAY_US = 86_400_000_000
_UNIX_S, _UNIX_MS, _UNIX_US = 9e8, 9e11, 9e14
"""1998; smaller numbers count seconds from the beginning of the log."""


@dataclass(frozen=True, slots=True)
class LogTime:
    """A time as far as the log says it."""

    at_us: int
    """Since 1970; since midnight or the log's beginning where it has no date."""
    has_date: bool
    has_zone: bool


@dataclass(frozen=True, slots=True)
class DayOrder:
    """How this log writes dates that begin with a small number."""

    is_day_first: bool | None
    """None: nothing settles it."""


def day_order(texts: Iterable[str]) -> DayOrder:
    """Look for a date that can be read one way only."""
    for text in texts:
        found = _YEAR_LAST.search(text)
        if found is None:
            continue
        if found[2] == ".":
            return DayOrder(True)
        if int(found[1]) > 12:
            return DayOrder(True)
        if int(found[3]) > 12:
            return DayOrder(False)
    return DayOrder(None)


def parse_time(text: str, order: DayOrder) -> LogTime | None:
    """Read one time; None where there is none in the text."""
    text = text.strip().strip("\"'")
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        return _written(text, order)
    if not 0 <= value < 1e17:
        return None
    for least, scale in ((_UNIX_US, 1.0), (_UNIX_MS, 1e3), (_UNIX_S, 1e6)):
        if value >= least:
            return LogTime(round(value * scale), has_date=True, has_zone=True)
    return LogTime(round(value * 1e6), has_date=False, has_zone=False)


def _written(text: str, order: DayOrder) -> LogTime | None:
    day, rest = _date(text, order)
    found = _TIME.search(rest)
    if found is None:
        return None
    hour, minute, second = int(found[1]), int(found[2]), int(found[3] or 0)
    if found[5]:
        hour = hour % 12 + (12 if found[5].upper() == "PM" else 0)
    if hour > 23 or minute > 59 or second > 60:
        return None
    micros = int((found[4] or "0").ljust(6, "0")[:6])
    at_us = ((hour * 60 + minute) * 60 + min(second, 59)) * 1_000_000 + micros
    if day is None:
        return LogTime(at_us, has_date=False, has_zone=False)
    at_us += (day - _EPOCH.date()).days * _DAY_US
    zone = found[6]
    if zone is None:
        return LogTime(at_us, has_date=True, has_zone=False)
    return LogTime(at_us - _offset_us(zone), has_date=True, has_zone=True)


def _date(text: str, order: DayOrder) -> tuple[dt.date | None, str]:
    """The date in a text, and what stands behind it."""
    if (found := _YEAR_FIRST.search(text)) is not None:
        year, month, day = int(found[1]), int(found[2]), int(found[3])
    elif (found := _YEAR_LAST.search(text)) is not None:
        first, second, year = int(found[1]), int(found[3]), int(found[4])
        if order.is_day_first is None:
            return None, text[found.end() :]
        day, month = (first, second) if order.is_day_first else (second, first)
    else:
        return None, text
    try:
        return dt.date(year, month, day), text[found.end() :]
    except ValueError:
        return None, text[found.end() :]


def _offset_us(zone: str) -> int:
    if zone.upper() in {"Z", "UTC", "GMT"}:
        return 0
    digits = zone[1:].replace(":", "")
    seconds = int(digits[:2]) * 3600 + int(digits[2:]) * 60
    return (-seconds if zone[0] == "-" else seconds) * 1_000_000


class LogClock:
    """Times of a log on one axis: days go on where the clock passes midnight."""

    def __init__(self, order: DayOrder, *, start_us: int | None) -> None:
        self._order = order
        self._start_us = start_us
        self._first_us: int | None = None
        self._last_us: int | None = None
        self._days_us = 0

    def read(self, text: str) -> LogTime | None:
        """Return the time of a row; without a date it counts from the log's first one."""
        told = parse_time(text, self._order)
        if told is None or told.has_date:
            return told
        at_us = told.at_us + self._days_us
        if self._last_us is not None and at_us < self._last_us - _DAY_US // 2:
            self._days_us += _DAY_US
            at_us += _DAY_US
        self._last_us = at_us
        if self._first_us is None:
            self._first_us = at_us
        since_us = at_us - self._first_us
        if self._start_us is not None:
            return LogTime(self._start_us + since_us, has_date=True, has_zone=True)
        return LogTime(since_us, has_date=False, has_zone=True)
