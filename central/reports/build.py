"""One report: every figure with both its bases, the days each side covers, and its series.

The same store and the same moment give the same report. A percentage is never stored alone: its two
integers stand beside it, and :func:`audited` recomputes every one of them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from central.clocks import day_of
from central.reports.indicators import INDICATORS, STATED, Counter, Indicator, Unit
from central.statistics import (
    NOTHING,
    Change,
    Comparison,
    Period,
    Span,
    Verdict,
    compare,
    period_of,
)
from central.statistics.audit import audit_known
from central.store.interface import Json
from central.store.reports import StatedFigure
from contract.clock import UnixMicros
from contract.codec import rfc3339

SCHEMA = "qianshao-report/1"
SPANS = (Span.DAY, Span.MONTH)
SERIES = (
    "alarms_110",
    "withdraw_requests",
    "stop_payment_hits",
    "black_broadcast_sites",
    "fake_bts",
)
"""Figures whose days are drawn."""
_DAYS_BEFORE = 29
"""A day's report draws the thirty days that end with it."""


def report_period(span: Span, day: dt.date) -> Period:
    """Return the period of a report; ValueError for a day that no calendar compares."""
    if not dt.date(2000, 1, 1) <= day <= dt.date(2199, 12, 31):
        raise ValueError("a report is of a day between 2000 and 2199")
    return period_of(span, day)


def build(
    counter: Counter, period: Period, now: UnixMicros | int, stated: Sequence[StatedFigure] = ()
) -> Json:
    """Make a report as of a moment; a period that is not over is compared day by day."""
    today = day_of(now)
    until = min(today, period.end - dt.timedelta(days=1))
    rows = [_row(counter, indicator, period, until) for indicator in INDICATORS]
    first = period.first
    if period.span is Span.DAY:
        first = period.first - dt.timedelta(days=_DAYS_BEFORE)
    days = [first + dt.timedelta(days=n) for n in range(max(0, (until - first).days + 1))]
    series = {
        indicator.name: [counter.over(indicator, day, day + dt.timedelta(days=1)) for day in days]
        for indicator in INDICATORS
        if indicator.name in SERIES
    }
    newest = {figure.indicator: figure for figure in stated if figure.period == key_of(period)}
    return {
        "schema": SCHEMA,
        "span": period.span.value,
        "first_day": period.first.isoformat(),
        "end_day": period.end.isoformat(),
        "area": counter.area,
        "as_of": rfc3339(UnixMicros(now)),
        "is_partial": today < period.end,
        "figures": rows,
        "series": {"days": [day.isoformat() for day in days], **series},
        "stated": [
            {"indicator": name, "value": newest[name].value, "by": newest[name].stated_by}
            for name in STATED
            if name in newest
        ],
    }


def key_of(period: Period) -> str:
    """Return how stated figures name a period: 2026-11, 2026-11-25."""
    return f"{period.first:%Y-%m}" if period.span is Span.MONTH else period.first.isoformat()


def _row(counter: Counter, indicator: Indicator, period: Period, until: dt.date) -> Json:
    found: Comparison = compare(
        period, until, lambda first, end: counter.over(indicator, first, end)
    )
    return {
        "indicator": indicator.name,
        "unit": indicator.unit.value,
        "now": found.previous.now,
        "days": found.days,
        "previous": {**_side(found.previous), "days": found.previous_days},
        "year_ago": {**_side(found.year_ago), "days": found.year_ago_days},
    }


def _side(change: Change) -> Json:
    return {"base": change.base, "percent": change.text()}


def audited(report: Mapping[str, Any]) -> list[str]:
    """Recompute every percentage from its two integers; returns those that do not agree."""
    wrong = []
    for row in report["figures"]:
        for side in ("previous", "year_ago"):
            base, printed = row[side]["base"], row[side]["percent"]
            value: Fraction | None = Change(row["now"], base).percent
            if value is None:
                is_right = printed == NOTHING
            else:
                is_right = audit_known(value, printed).verdict is Verdict.ROUNDED
            if not is_right:
                wrong.append(f"{row['indicator']}.{side}")
    return wrong


def figure_text(unit: str, value: int) -> str:
    """Write a figure: a count, or money to the fen."""
    if unit == Unit.FEN.value:
        return f"¥{value // 100:,}.{value % 100:02}"
    return f"{value:,}"


def local_moment(text: str, offset_minutes: int) -> str:
    """Write a report's own RFC 3339 time in local time."""
    at = dt.datetime.fromisoformat(text)
    local = at.astimezone(dt.timezone(dt.timedelta(minutes=offset_minutes)))
    return local.strftime("%Y-%m-%d %H:%M:%S")
