"""The regulator's monthly columns (``rf_watch.monthly``): cases from alerts, work as stated."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from central.reports.indicators import INDICATORS, Counter
from central.statistics import Span, period_of
from rf_watch.monthly import COLUMNS, WORK_COLUMNS

MONTHS = 12
_FROM = {
    "black_broadcast_cases": "black_broadcast_sites",
    "aviation_cases": "aviation_cases",
    "fake_bts_cases": "fake_bts",
}
"""Column to the figure that it holds; the others are stated by people."""


def months_before(day: dt.date, number: int = MONTHS) -> list[str]:
    """Return the months that end with the one of a day, newest first."""
    period, found = period_of(Span.MONTH, day), []
    for _ in range(number):
        found.append(f"{period.first:%Y-%m}")
        period = period.previous
    return found


def monthly_rows(counter: Counter, day: dt.date, number: int = MONTHS) -> list[list[str]]:
    """Return rows in the order of COLUMNS, newest month first; empty where nobody stated it."""
    months = months_before(day, number)
    stated: dict[tuple[str, str], str] = {
        (figure.period, figure.indicator): figure.value
        for figure in counter.store.stated_figures(counter.area, months)
    }
    by_name = {indicator.name: indicator for indicator in INDICATORS}
    rows = []
    for month in months:
        period = period_of(Span.MONTH, dt.date.fromisoformat(f"{month}-01"))
        values = {
            column: str(counter.over(by_name[name], period.first, period.end))
            for column, name in _FROM.items()
        }
        values |= {name: stated.get((month, name), "") for name in WORK_COLUMNS}
        rows.append([month, *(values[column] for column in COLUMNS[1:])])
    return rows


def header() -> Sequence[str]:
    """Return the columns as the ministry prints them."""
    return COLUMNS
