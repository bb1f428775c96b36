"""Periods and what they are compared with: the one before, and the same one a year ago.

A period that is not over is compared day by day: the first n days with the first n days of the
other one, so that half a month is never measured against a whole one.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from central.clocks.calendar import add_months
from central.statistics.percent import Change


class Span(StrEnum):
    """Length of a period."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    HALF_YEAR = "half_year"
    YEAR = "year"


_MONTHS = {Span.MONTH: 1, Span.QUARTER: 3, Span.HALF_YEAR: 6, Span.YEAR: 12}


@dataclass(frozen=True, slots=True)
class Period:
    """Days from ``first`` up to and without ``end``."""

    span: Span
    first: dt.date

    @property
    def end(self) -> dt.date:
        """The day after the last."""
        if self.span in _MONTHS:
            return add_months(self.first, _MONTHS[self.span])
        return self.first + dt.timedelta(days=7 if self.span is Span.WEEK else 1)

    @property
    def days(self) -> int:
        """Number of its days."""
        return (self.end - self.first).days

    @property
    def previous(self) -> Period:
        """The period before (环比)."""
        if self.span in _MONTHS:
            return Period(self.span, add_months(self.first, -_MONTHS[self.span]))
        return Period(self.span, self.first - dt.timedelta(days=self.days))

    @property
    def year_ago(self) -> Period:
        """The same period a year before (同比); of a week, 52 weeks before."""
        if self.span is Span.WEEK:
            return Period(self.span, self.first - dt.timedelta(days=364))
        return Period(self.span, add_months(self.first, -12))

    def head(self, days: int) -> tuple[dt.date, dt.date]:
        """First ``days`` days, as first day and day after the last; never beyond the period."""
        return self.first, min(self.end, self.first + dt.timedelta(days=days))


def period_of(span: Span, day: dt.date) -> Period:
    """Return the period that holds a day; weeks begin on Monday."""
    if span is Span.DAY:
        return Period(span, day)
    if span is Span.WEEK:
        return Period(span, day - dt.timedelta(days=day.weekday()))
    months = _MONTHS[span]
    return Period(span, day.replace(month=(day.month - 1) // months * months + 1, day=1))


CountDays = Callable[[dt.date, dt.date], int]
"""Count of what happened from one day up to and without another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A count with its two bases, and how many days each of them covers."""

    period: Period
    days: int
    previous_days: int
    year_ago_days: int
    previous: Change
    year_ago: Change

    @property
    def is_partial(self) -> bool:
        """Whether the period is not over yet."""
        return self.days < self.period.days


def compare(period: Period, until: dt.date, count: CountDays) -> Comparison:
    """Compare a period up to and with day ``until``; one that is over is compared whole.

    Day by day: the 17th against the 17th. A shorter month gives all it has, and the days of each
    side are stated.
    """
    is_over = until >= period.end - dt.timedelta(days=1)
    days = period.days if is_over else max(0, (until - period.first).days + 1)
    bases = (period.previous, period.year_ago)
    spans = [base.head(base.days if is_over else days) for base in bases]
    now = count(*period.head(days))
    return Comparison(
        period=period,
        days=days,
        previous_days=(spans[0][1] - spans[0][0]).days,
        year_ago_days=(spans[1][1] - spans[1][0]).days,
        previous=Change(now, count(*spans[0])),
        year_ago=Change(now, count(*spans[1])),
    )


def counter(days: Mapping[dt.date, int]) -> CountDays:
    """Count over a table of days."""

    def count(first: dt.date, end: dt.date) -> int:
        return sum(value for day, value in days.items() if first <= day < end)

    return count
