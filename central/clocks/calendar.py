"""Chinese time and days: +08:00 without daylight saving, month ends, working days."""

from __future__ import annotations

import calendar
import datetime as dt

import chinese_calendar

from contract.clock import UnixMicros

CHINA = dt.timezone(dt.timedelta(hours=8))
"""China Standard Time; daylight saving ended in 1991 and no table here reaches back that far."""

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_US = dt.timedelta(microseconds=1)


def local(at: UnixMicros | int) -> dt.datetime:
    """Return a moment in Chinese time."""
    return (_EPOCH + dt.timedelta(microseconds=int(at))).astimezone(CHINA)


def micros(moment: dt.datetime) -> UnixMicros:
    """Return an aware datetime as microseconds since 1970, exactly."""
    return UnixMicros((moment - _EPOCH) // _US)


def midnight(day: dt.date) -> UnixMicros:
    """Return 00:00 in China of a day."""
    return micros(dt.datetime.combine(day, dt.time(), CHINA))


def day_of(at: UnixMicros | int) -> dt.date:
    """Return the day in China."""
    return local(at).date()


def add_months(day: dt.date, months: int) -> dt.date:
    """Return the corresponding day; without one the last of the month (民法典 Art. 202)."""
    index = day.year * 12 + day.month - 1 + months
    year, month = index // 12, index % 12 + 1
    return dt.date(year, month, min(day.day, calendar.monthrange(year, month)[1]))


def end_of_years(first: dt.date, years: int) -> dt.date:
    """Return the day on which a term of years is over: from 00:00 of it the person is free.

    A term that began on 29 February ends on 1 March of a year without one: its last whole day is
    28 February.
    """
    try:
        return first.replace(year=first.year + years)
    except ValueError:
        return dt.date(first.year + years, 3, 1)


def is_working_day(day: dt.date) -> tuple[bool, bool]:
    """Whether people work on ``day``, and whether the State Council's arrangement is known for it.

    The arrangement of a year appears in the November before. Where it is not known yet, Monday to
    Friday count and the second value says that it was a guess.
    """
    try:
        return bool(chinese_calendar.is_workday(day)), True
    except NotImplementedError:
        return day.weekday() < 5, False


def add_working_days(first: dt.date, days: int) -> tuple[dt.date, bool]:
    """Return the ``days``-th working day after ``first``, and whether all its days are certain."""
    if days < 0:
        raise ValueError("working days are counted forward")
    day, is_certain = first, True
    while days:
        day += dt.timedelta(days=1)
        is_working, is_known = is_working_day(day)
        is_certain &= is_known
        days -= is_working
    return day, is_certain
