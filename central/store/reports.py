"""What reports count, read from the store, and the versions that were given out."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from central.store import intake_tables as it
from central.store import tables as t
from central.store.case_tables import case_alerts, case_events, cases
from central.store.interface import Json
from central.store.triage import within
from central.store.write import columns
from contract.words import AlertKind, Decision, DecisionReason

_LATE_US = 30 * 86400 * 1_000_000
"""How late a decision may come in and still be looked for: an outbox keeps them for days."""
_WITHDRAW = '"business":"withdraw"'


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRow:
    """One version of a report."""

    id: int = 0
    span: str
    first_day: str
    area: str
    revision: int
    made_at: int
    made_by: str
    reason: str
    data: Json
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedFigure:
    """A figure that a person stated."""

    id: int = 0
    indicator: str
    area: str
    period: str
    value: str
    stated_at: int
    stated_by: str
    reason: str


class ReportQueries:
    """The part of the store that reports ask."""

    def _all(self, query: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        raise NotImplementedError

    def _one(self, query: sa.Select[Any]) -> sa.Row[Any] | None:
        raise NotImplementedError

    def reading(self) -> AbstractContextManager[sa.Connection]:
        """See :class:`central.store.sql.SqlStore`."""
        raise NotImplementedError

    def count_alarms(self, area: str, first: int, end: int) -> tuple[int, int]:
        """Return how many alarms there were in [first, end), and the losses in fen."""
        a = it.alarms.c
        row = self._one(
            sa.select(
                sa.func.count().label("times"),
                sa.func.coalesce(sa.func.sum(a.amount_fen), 0).label("fen"),
            ).where(a.alarm_at >= first, a.alarm_at < end, within(a.area, frozenset({area})))
        )
        assert row is not None
        return int(row.times), int(row.fen)

    def count_cases(self, area: str, first: int, end: int) -> int:
        """Return how many cases were opened."""
        c = cases.c
        query = sa.select(sa.func.count().label("times")).where(
            c.opened_at >= first, c.opened_at < end, within(c.area, frozenset({area}))
        )
        row = self._one(query)
        return 0 if row is None else int(row.times)

    def count_case_steps(self, area: str, action: str, first: int, end: int) -> int:
        """Return how many cases took a step."""
        e = case_events.c
        query = (
            sa.select(sa.func.count(sa.distinct(e.case_id)).label("times"))
            .join(cases, cases.c.id == e.case_id)
            .where(
                e.action == action, e.at >= first, e.at < end,
                within(cases.c.area, frozenset({area})),
            )
        )  # fmt: skip
        row = self._one(query)
        return 0 if row is None else int(row.times)

    def count_happenings(self, area: str, happening: str, first: int, end: int) -> int:
        """Return how often something happened to what a clock runs for."""
        h = it.happenings.c
        query = (
            sa.select(sa.func.count(sa.distinct(h.subject)).label("times"))
            .join(cases, cases.c.id == h.case_id)
            .where(
                h.happening == happening, h.at >= first, h.at < end,
                within(cases.c.area, frozenset({area})),
            )
        )  # fmt: skip
        row = self._one(query)
        return 0 if row is None else int(row.times)

    def cases_with_alarm(self, area: str, first: int, end: int) -> Sequence[int]:
        """Return the cases whose alarm was raised in [first, end)."""
        a = it.alarms.c
        query = sa.select(a.case_id).where(
            a.alarm_at >= first, a.alarm_at < end, within(a.area, frozenset({area}))
        )
        return [row.case_id for row in self._all(query)]

    def alarmed_cases(
        self, areas: frozenset[str], first: int, end: int
    ) -> Sequence[tuple[int, str]]:
        """Return the cases whose alarm was raised in [first, end), and the division of each."""
        a = it.alarms.c
        query = sa.select(a.case_id, a.area).where(
            a.alarm_at >= first, a.alarm_at < end, within(a.area, areas)
        )
        return [(row.case_id, row.area) for row in self._all(query)]

    def case_histories(
        self, areas: frozenset[str], since: int
    ) -> Sequence[tuple[int, list[tuple[int, str]]]]:
        """Return when each case that moved since then was first seen, and all its steps."""
        e = case_events.c
        moved = sa.select(e.case_id).where(e.at >= since).distinct()
        query = (
            sa.select(cases.c.id, cases.c.first_seen, e.at, e.to_state)
            .join(cases, cases.c.id == e.case_id)
            .where(e.case_id.in_(moved), within(cases.c.area, areas))
            .order_by(e.id)
        )
        found: dict[int, tuple[int, list[tuple[int, str]]]] = {}
        for row in self._all(query):
            found.setdefault(row.id, (row.first_seen, []))[1].append((row.at, row.to_state))
        return list(found.values())

    def count_refunds(self, area: str, first: int, end: int) -> tuple[int, int]:
        """Return how many refunds the bank carried out, and the fen of their shares."""
        r = it.refunds.c
        row = self._one(
            sa.select(
                sa.func.count().label("times"),
                sa.func.coalesce(sa.func.sum(r.held_fen - r.left_fen), 0).label("fen"),
            )
            .select_from(it.refunds.join(cases, cases.c.id == r.case_id))
            .where(r.done_at >= first, r.done_at < end, within(cases.c.area, frozenset({area})))
        )
        assert row is not None
        return int(row.times), int(row.fen)

    def count_decisions(
        self,
        devices: Sequence[str] | None,
        first: int,
        end: int,
        *,
        is_withdrawal: bool = False,
        decision: Decision | None = None,
        reasons: Sequence[DecisionReason] = (),
    ) -> int:
        """Return how many visits were decided so; ``devices`` None: all."""
        d = t.decisions.c
        query = sa.select(sa.func.count().label("times")).where(
            d.received_at >= first, d.received_at < end + _LATE_US,
            d.decided_at >= first, d.decided_at < end,
        )  # fmt: skip
        if devices is not None:
            query = query.where(d.device.in_(devices))
        if is_withdrawal:
            query = query.where(sa.type_coerce(d.body, sa.Text).contains(_WITHDRAW))
        if decision is not None:
            query = query.where(d.decision == decision)
        if reasons:
            query = query.where(d.reason.in_(reasons))
        row = self._one(query)
        return 0 if row is None else int(row.times)

    def alerted(
        self, area: str, kinds: Sequence[AlertKind], first: int, end: int
    ) -> Sequence[tuple[int, Json]]:
        """Return alerts raised in [first, end) that nobody dismissed and no case cleared."""
        a = t.alerts.c
        cleared = (
            sa.select(case_alerts.c.alert_id)
            .join(cases, cases.c.id == case_alerts.c.case_id)
            .where(case_alerts.c.alert_id == a.id, cases.c.state.in_(["CLEARED", "DISMISSED"]))
        )
        query = sa.select(a.id, a.subject).where(
            a.kind.in_(kinds), a.raised_at >= first, a.raised_at < end, a.merged_into.is_(None),
            a.state != "DISMISSED", within(a.area, frozenset({area})), ~cleared.exists(),
        )  # fmt: skip
        return [(row.id, row.subject) for row in self._all(query.order_by(a.id))]

    def report_versions(self, span: str, first_day: str, area: str) -> Sequence[ReportRow]:
        """Return the versions of a report, oldest first."""
        r = it.reports
        query = sa.select(r).where(r.c.span == span, r.c.first_day == first_day, r.c.area == area)
        return [ReportRow(**row._mapping) for row in self._all(query.order_by(r.c.revision))]

    def stated_figures(self, area: str, periods: Sequence[str]) -> Sequence[StatedFigure]:
        """Return what was stated for some periods, oldest first; the newest of each counts."""
        s = it.stated_figures
        query = sa.select(s).where(s.c.area == area, s.c.period.in_(periods)).order_by(s.c.id)
        return [StatedFigure(**row._mapping) for row in self._all(query)]


def add(connection: sa.Connection, row: ReportRow | StatedFigure) -> int:
    """Store a version or a stated figure and return its id."""
    table = it.reports if isinstance(row, ReportRow) else it.stated_figures
    values = columns(row)
    del values["id"]
    key = connection.execute(table.insert().values(**values)).inserted_primary_key
    assert key is not None
    return int(key[0])


def last_version(
    connection: sa.Connection, span: str, first_day: str, area: str
) -> ReportRow | None:
    """Return the newest version as the transaction sees it."""
    r = it.reports
    query = (
        sa.select(r)
        .where(r.c.span == span, r.c.first_day == first_day, r.c.area == area)
        .order_by(r.c.revision.desc())
        .limit(1)
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else ReportRow(**row._mapping)
