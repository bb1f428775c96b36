"""A report as rows in a reader's language: the same for the page, CSV, XLSX and PDF."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from central.areas import area_text
from central.exports import Cell
from central.reports.build import figure_text, local_moment

if TYPE_CHECKING:
    from central.web.words import Words


def header(words: Words) -> list[str]:
    """Return the names of the columns."""
    names = ("figure", "now", "days", "previous", "pop", "pop_days", "year_ago", "yoy", "yoy_days")
    return [words.word("report_column", name) for name in names]


def rows(report: Mapping[str, Any], words: Words) -> list[list[Cell]]:
    """Return a row for each figure, and one for each that a person stated."""
    found: list[list[Cell]] = []
    for row in report["figures"]:
        unit, before, ago = row["unit"], row["previous"], row["year_ago"]
        found.append(
            [
                words.word("indicator", row["indicator"]),
                figure_text(unit, row["now"]),
                row["days"],
                figure_text(unit, before["base"]),
                before["percent"],
                before["days"],
                figure_text(unit, ago["base"]),
                ago["percent"],
                ago["days"],
            ]
        )
    for pace in report.get("paces", ()):
        name = f"{words.word('clock', pace['clock'])}: p50 / p90 / p95 (n={pace['number']})"
        lasted = " / ".join(_lasted(pace[f"{p}_ms"]) for p in ("p50", "p90", "p95"))
        found.append([name, lasted, *([None] * 7)])
    for figure in report["stated"]:
        name = words.word("indicator", figure["indicator"])
        by = words.text("stated by {name}").replace("{name}", figure["by"])
        found.append([f"{name} ({by})", figure["value"], *([None] * 7)])
    return found


def exact_rows(report: Mapping[str, Any]) -> list[list[Cell]]:
    """Return rows for programs: names of the contract and integers (fen), no separators."""
    return [
        [
            row["indicator"], row["unit"], row["now"], row["days"],
            row["previous"]["base"], row["previous"]["percent"], row["previous"]["days"],
            row["year_ago"]["base"], row["year_ago"]["percent"], row["year_ago"]["days"],
        ]
        for row in report["figures"]
    ] + [
        [f"{pace['clock']}_{p}", "ms", pace[f"{p}_ms"], *([None] * 7)]
        for pace in report.get("paces", ())
        for p in ("p50", "p90", "p95")
    ]  # fmt: skip


def _lasted(ms: int) -> str:
    """Write a time of milliseconds as hours, minutes and seconds."""
    minutes, seconds = divmod(ms // 1000, 60)
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"


EXACT_COLUMNS = (
    *("indicator", "unit", "now", "days", "previous_base", "previous_percent", "previous_days"),
    *("year_ago_base", "year_ago_percent", "year_ago_days"),
)


def title(report: Mapping[str, Any], words: Words) -> str:
    """Return the title: what period, which division."""
    name = words.word("report", report["span"])
    first = dt.date.fromisoformat(report["first_day"])
    when = f"{first:%Y-%m}" if report["span"] == "month" else first.isoformat()
    area = area_text(report["area"], is_chinese=words.language.value == "zh-CN")
    return f"{name} {when} · {area}"


def subtitle(report: Mapping[str, Any], words: Words, offset_minutes: int, version: int) -> str:
    """Return what a reader must know of it: as of when, whether it is whole, which version."""
    as_of = local_moment(report["as_of"], offset_minutes)
    parts = [words.text("As of {time}").replace("{time}", as_of)]
    if report["is_partial"]:
        parts.append(
            words.text("the day is not over: what came so far, against whole days")
            if report["span"] == "day"
            else words.text("the period is not over: compared day by day")
        )
    parts.append(
        words.text("version {n}").replace("{n}", str(version))
        if version
        else words.text("not kept as a version")
    )
    return " · ".join(parts)
