"""Times that a terminal program wrote before the lines of a log, and arrows of its own.

``2026-11-25 10:00:00.123 AT+QENG...``, ``[10:00:00.123] <- +QENG: ...``, ``1700000000.5: +CENG``.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

_CLOCK = rb"(?P<clock>[0-2]\d:[0-5]\d:[0-5]\d(?:[.,]\d{1,9})?)"
_DATED = rb"(?P<date>\d{4}[-/]\d\d[-/]\d\d)[ T_]{1,2}" + _CLOCK
_ZONE = rb" ?(?P<zone>Z|UTC|[+-]\d\d:?\d\d)?"
_EPOCH = rb"(?P<epoch>1\d{9}(?:\.\d{1,9})?)"
_ARROW = rb"(?:[:|,;]|-{1,2}>|<-{1,2}|>{1,3}|<{1,3}|\[?\b(?:RX|TX|RECV|SEND|IN|OUT)\b\]?:?)"
_STAMP = re.compile(
    rb"[ \t]*\[?(?:" + _DATED + _ZONE + rb"|" + _CLOCK.replace(b"clock", b"only")
    # a number of seconds is a time only where something stands between it and the line
    + rb"|" + _EPOCH + rb"(?=\]|[ \t]*[:|>-]))\]?(?:[ \t]*" + _ARROW + rb"){0,2}[ \t]*",
    re.IGNORECASE,
)  # fmt: skip
_DAY_US = 86_400_000_000
_SHARE_MIN = 0.5
"""Fewer stamped lines than this are chance, not a habit of the log."""
_LINES_TRIED = 50


@dataclass(frozen=True, slots=True)
class Stamped:
    """A log without its stamps, and what they said."""

    content: bytes
    times_us: tuple[int | None, ...]
    """Of each line: microseconds since 1970, or since the day began where no date is given."""
    has_dates: bool


def unstamp(content: bytes) -> Stamped | None:
    """Take the stamps off a log; None where its lines bear none."""
    lines = content.splitlines(keepends=True)
    tried = [line for line in lines[:_LINES_TRIED] if line.strip()]
    found = sum(_STAMP.match(line) is not None for line in tried)
    if not tried or found < _SHARE_MIN * len(tried):
        return None
    bare: list[bytes] = []
    times: list[int | None] = []
    has_dates = True
    days = last_us = 0
    for line in lines:
        match = _STAMP.match(line)
        at_us = None if match is None else _time_us(match)
        if match is None or at_us is None:
            bare.append(line)
            times.append(None)
            continue
        bare.append(line[match.end() :] or line[-1:])
        if match["only"] is not None:
            has_dates = False
            if at_us + days < last_us - _DAY_US // 2:  # midnight passed
                days += _DAY_US
            at_us += days
        last_us = at_us
        times.append(at_us)
    return Stamped(b"".join(bare), tuple(times), has_dates)


def _time_us(match: re.Match[bytes]) -> int | None:
    """Return what a stamp says; None where that is no time. Without a zone it is taken as UTC."""
    if match["epoch"] is not None:
        seconds, _, fraction = match["epoch"].decode().partition(".")
        return int(seconds) * 1_000_000 + _fraction_us(fraction)
    text = (match["clock"] or match["only"]).decode().replace(",", ".")
    clock, _, fraction = text.partition(".")
    day = match["date"].decode().replace("/", "-") if match["date"] else "1970-01-01"
    zone = (match["zone"] or b"Z").decode().upper()
    try:
        moment = dt.datetime.fromisoformat(f"{day}T{clock}{'Z' if zone == 'UTC' else zone}")
        whole = moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    except (ValueError, OverflowError):
        return None
    return whole // dt.timedelta(microseconds=1) + _fraction_us(fraction)


def _fraction_us(digits: str) -> int:
    return int(digits[:6].ljust(6, "0")) if digits else 0
