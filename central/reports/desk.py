"""Versions of reports, and figures that people state: nothing that was given out is overwritten."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from central.actor import Actor
from central.alert_states import RuleError
from central.alert_work import NotCoveredError, check_note, sql_of
from central.audit import SYSTEM, record
from central.clocks.calendar import midnight
from central.reports.build import build, key_of
from central.reports.indicators import STATED, Counter
from central.reports.pace import clock_paces
from central.statistics import Period
from central.store import reports as stored
from central.store.interface import Json
from central.store.reports import ReportRow, StatedFigure
from central.store.sql import SqlStore
from contract.clock import Clock

_VALUE = re.compile(r"\d{1,12}(?:\.\d{1,3})?", re.ASCII)


def figures_digest(report: Mapping[str, Any]) -> str:
    """Return a hash of what a report says; when it was made is no part of it."""
    said = {name: value for name, value in report.items() if name != "as_of"}
    text = json.dumps(said, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


class ReportDesk:
    """Makes reports, keeps versions, takes stated figures."""

    def __init__(self, store: SqlStore, clock: Clock, own_area: str) -> None:
        self._store = store
        self._clock = clock
        self._own_area = own_area

    def report(self, period: Period, area: str) -> Json:
        """Make the report of a period as it is known now."""
        now = self._clock.wall()
        counter = Counter(self._store, area, self._own_area, int(now))
        made = build(counter, period, now, self._store.stated_figures(area, [key_of(period)]))
        first, end = (int(midnight(day)) for day in (period.first, period.end))
        paces = clock_paces(self._store, frozenset({area}), first, end, int(now))
        if paces:  # a report without any stays the one that was kept before there were paces
            made["paces"] = [
                {
                    "clock": pace.of, "number": pace.number, "p50_ms": pace.p50_us // 1000,
                    "p90_ms": pace.p90_us // 1000, "p95_ms": pace.p95_us // 1000,
                    "late": pace.late,
                }
                for pace in paces
            ]  # fmt: skip
        return made

    def versions(self, period: Period, area: str) -> list[ReportRow]:
        """Return the kept versions of a period's report, oldest first."""
        first = period.first.isoformat()
        return list(self._store.report_versions(period.span.value, first, area))

    def keep(self, actor: Actor | None, period: Period, area: str, reason: str = "") -> ReportRow:
        """Keep the report as a version. A further version needs other figures, and a reason."""
        if actor is not None and not actor.covers(area):
            raise NotCoveredError(f"the area {area} is not one of yours")
        report, now = self.report(period, area), int(self._clock.wall())
        digest, reason = figures_digest(report), check_note(reason)
        by: Actor | str = actor or SYSTEM
        with self._store.transaction() as tx:
            connection = sql_of(tx)._connection
            first = period.first.isoformat()
            last = stored.last_version(connection, period.span.value, first, area)
            if last is not None and last.digest == digest:
                raise RuleError(f"nothing has changed since version {last.revision}")
            if last is not None and not reason:
                raise RuleError("a further version needs a reason")
            row = ReportRow(
                span=period.span.value, first_day=first, area=area,
                revision=1 if last is None else last.revision + 1, made_at=now,
                made_by=by.name if isinstance(by, Actor) else by, reason=reason, data=report,
                digest=digest,
            )  # fmt: skip
            row = replace(row, id=stored.add(connection, row))
            record(
                tx, now, by, "report.keep", f"{row.span} {first} {area}",
                detail={"revision": row.revision, "reason": reason, "digest": digest},
            )  # fmt: skip
        return row

    def state(
        self, actor: Actor, indicator: str, period: str, area: str, value: str, reason: str = ""
    ) -> None:
        """State a figure that no event knows; a correction needs a reason."""
        if indicator not in STATED:
            raise RuleError("this form does not know that figure")
        if not _VALUE.fullmatch(value.strip()):
            raise RuleError("a figure is a number with at most three decimals")
        if not re.fullmatch(r"\d{4}-(?:0[1-9]|1[0-2])", period, re.ASCII):
            raise RuleError("a month is written as 2026-11")
        if not actor.covers(area):
            raise NotCoveredError(f"the area {area} is not one of yours")
        now, reason = int(self._clock.wall()), check_note(reason)
        former = [
            figure
            for figure in self._store.stated_figures(area, [period])
            if figure.indicator == indicator
        ]
        if former and not reason:
            raise RuleError(f"{former[-1].stated_by} has stated it: a correction needs a reason")
        row = StatedFigure(
            indicator=indicator, area=area, period=period, value=value.strip(), stated_at=now,
            stated_by=actor.name, reason=reason,
        )  # fmt: skip
        with self._store.transaction() as tx:
            stored.add(sql_of(tx)._connection, row)
            record(
                tx, now, actor, "figure.state", f"{indicator} {period} {area}",
                detail={"value": row.value, "reason": reason},
            )  # fmt: skip
