"""Alarms, happenings and notices in the store."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from central.store import intake_tables as it
from central.store import tables as t
from central.store.interface import DecisionRow, Json
from central.store.triage import within
from central.store.write import columns
from contract.words import Decision

_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmRow:
    """One alarm of 110."""

    id: int = 0
    source: str
    number: str
    case_id: int
    via: str
    area: str
    alarm_at: int
    received_at: int
    amount_fen: int
    victim: str
    seal_key: bytes
    sealed: bytes
    brief: str
    taken_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmAccount:
    """One suspect account of an alarm."""

    id: int = 0
    alarm_id: int
    last4: str
    holder: str
    bank: str
    amount_fen: int
    transfer_at: int
    seal_key: bytes
    sealed: bytes
    added_by: str
    added_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmRefusal:
    """An alarm, or a part of one, that was not taken."""

    id: int = 0
    at: int
    via: str
    sender: str
    number: str
    problems: list[dict[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class HappeningRow:
    """What started or stopped a clock of a case."""

    id: int = 0
    case_id: int
    happening: str
    subject: str
    at: int
    detail: str = ""
    noted_by: str
    noted_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockMark:
    """Whether a case has a running clock, and when the next word on it is due."""

    case_id: int
    is_running: int
    next_at: int | None
    told_until: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeRow:
    """What the duty officer is told."""

    id: int = 0
    at: int
    kind: str
    case_id: int
    area: str
    told_to: str
    data: Json
    seen_by: str | None = None
    seen_at: int | None = None


Rows = AlarmRow | AlarmAccount | AlarmRefusal | HappeningRow | NoticeRow
_TABLES: dict[type, sa.Table] = {
    AlarmRow: it.alarms,
    AlarmAccount: it.alarm_accounts,
    AlarmRefusal: it.alarm_refusals,
    HappeningRow: it.happenings,
    NoticeRow: it.notices,
}
KEPT_REFUSALS = 1000


class IntakeQueries:
    """The part of the store that knows alarms and the clocks that run from them."""

    def _all(self, query: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        raise NotImplementedError

    def _one(self, query: sa.Select[Any]) -> sa.Row[Any] | None:
        raise NotImplementedError

    def transaction(self) -> AbstractContextManager[Any]:
        """See :class:`central.store.interface.Store`."""
        raise NotImplementedError

    def alarm(self, alarm_id: int) -> AlarmRow | None:
        """Return one alarm."""
        row = self._one(sa.select(it.alarms).where(it.alarms.c.id == alarm_id))
        return None if row is None else AlarmRow(**row._mapping)

    def alarms_of(self, case_id: int) -> Sequence[AlarmRow]:
        """Return the alarms of a case, oldest first."""
        a = it.alarms
        rows = self._all(sa.select(a).where(a.c.case_id == case_id).order_by(a.c.id))
        return [AlarmRow(**row._mapping) for row in rows]

    def latest_alarms(self, areas: frozenset[str], limit: int) -> Sequence[AlarmRow]:
        """Return alarms of some areas, newest first."""
        a = it.alarms
        query = sa.select(a).where(within(a.c.area, areas)).order_by(a.c.id.desc()).limit(limit)
        return [AlarmRow(**row._mapping) for row in self._all(query)]

    def alarm_accounts(self, case_id: int) -> Sequence[AlarmAccount]:
        """Return the suspect accounts that the alarms of a case name."""
        a = it.alarm_accounts
        query = (
            sa.select(a)
            .join(it.alarms, it.alarms.c.id == a.c.alarm_id)
            .where(it.alarms.c.case_id == case_id)
            .order_by(a.c.id)
        )
        return [AlarmAccount(**row._mapping) for row in self._all(query)]

    def alarm_refusals(self, limit: int) -> Sequence[AlarmRefusal]:
        """Return what was not taken lately, newest first."""
        r = it.alarm_refusals
        rows = self._all(sa.select(r).order_by(r.c.id.desc()).limit(limit))
        return [AlarmRefusal(**row._mapping) for row in rows]

    def happenings(self, case_ids: Sequence[int]) -> Sequence[HappeningRow]:
        """Return what happened in some cases, oldest first."""
        h = it.happenings
        rows: list[HappeningRow] = []
        for start in range(0, len(case_ids), _AT_ONCE):
            some = case_ids[start : start + _AT_ONCE]
            found = self._all(sa.select(h).where(h.c.case_id.in_(some)).order_by(h.c.id))
            rows += [HappeningRow(**row._mapping) for row in found]
        return rows

    def running_clocks(self, areas: frozenset[str], limit: int) -> Sequence[tuple[int, str]]:
        """Return cases with a clock that runs: id and number, what is due next first."""
        from central.store.case_tables import cases

        m = it.case_clocks
        query = (
            sa.select(m.c.case_id, cases.c.number)
            .join(cases, cases.c.id == m.c.case_id)
            .where(m.c.is_running == 1, within(cases.c.area, areas))
            .order_by(m.c.next_at.is_(None).desc(), m.c.next_at, m.c.case_id)
            .limit(limit)
        )
        return [(row.case_id, row.number) for row in self._all(query)]

    def clocks_to_tell(self, now: int, limit: int = 200) -> Sequence[ClockMark]:
        """Return marks of cases whose clocks have something to say by now."""
        m = it.case_clocks
        query = sa.select(m).where(m.c.next_at <= now).order_by(m.c.next_at).limit(limit)
        return [ClockMark(**row._mapping) for row in self._all(query)]

    def stops_without_receipts(self) -> Sequence[tuple[int, str, int]]:
        """Return cases whose first executed stop has no last receipt: id, order, executed at."""
        h, other, m = it.happenings, it.happenings.alias(), it.case_clocks
        received = sa.select(other.c.id).where(
            other.c.case_id == h.c.case_id, other.c.happening == "stop_receipts"
        )
        query = (
            sa.select(h.c.case_id, h.c.detail, h.c.at)
            .join(m, m.c.case_id == h.c.case_id)
            .where(m.c.is_running == 1, h.c.happening == "stop_executed", ~received.exists())
            .order_by(h.c.case_id, h.c.at.desc())
        )
        first = {row.case_id: (row.detail, row.at) for row in self._all(query)}
        return [(case_id, order, at) for case_id, (order, at) in first.items()]

    def delayed_transfers(self, since: int, limit: int) -> Sequence[DecisionRow]:
        """Return transfers that machines hold back, asked for since a moment and not taken back.

        Whoever takes one back does so at the same machine, which names the visit of the transfer.
        """
        d = t.decisions
        query = (
            sa.select(d)
            .where(d.c.received_at >= since, d.c.decision == Decision.ALLOW_DELAYED)
            .order_by(d.c.received_at)
            .limit(limit)
        )
        rows = [DecisionRow(**row._mapping) for row in self._all(query)]
        back = sa.select(d.c.device, d.c.body).where(
            d.c.received_at >= since,
            d.c.decision == Decision.ALLOW,
            sa.type_coerce(d.c.body, sa.Text).like('%"revokes":"%'),
        )
        revoked = {(row.device, row.body["revokes"]) for row in self._all(back)}
        return [
            row
            for row in rows
            if row.decided_at >= since and (row.device, row.visit) not in revoked
        ]

    def unseen_notices(self, areas: frozenset[str], limit: int) -> Sequence[NoticeRow]:
        """Return what nobody has said to have seen, newest first."""
        n = it.notices
        query = (
            sa.select(n)
            .where(n.c.seen_at.is_(None), within(n.c.area, areas))
            .order_by(n.c.id.desc())
            .limit(limit)
        )
        return [NoticeRow(**row._mapping) for row in self._all(query)]

    def notices_of(self, case_id: int) -> Sequence[NoticeRow]:
        """Return what was told about a case, oldest first."""
        n = it.notices
        rows = self._all(sa.select(n).where(n.c.case_id == case_id).order_by(n.c.id))
        return [NoticeRow(**row._mapping) for row in rows]


# -- writing, inside a transaction ----------------------------------------------------------------


def add(connection: sa.Connection, row: Rows) -> int:
    """Store a row and return its id."""
    values = columns(row)
    del values["id"]
    added = connection.execute(_TABLES[type(row)].insert().values(**values))
    key = added.inserted_primary_key
    assert key is not None
    return int(key[0])


def add_refusal(connection: sa.Connection, row: AlarmRefusal) -> None:
    """Note what was not taken, and drop the oldest beyond the limit."""
    made = add(connection, row)
    r = it.alarm_refusals
    connection.execute(r.delete().where(r.c.id <= made - KEPT_REFUSALS))


def known_alarm(connection: sa.Connection, source: str, number: str) -> AlarmRow | None:
    """Return the alarm of that number."""
    a = it.alarms
    query = sa.select(a).where(a.c.source == source, a.c.number == number)
    row = connection.execute(query).one_or_none()
    return None if row is None else AlarmRow(**row._mapping)


def accounts_of(connection: sa.Connection, alarm_id: int) -> list[AlarmAccount]:
    """Return the accounts of an alarm."""
    a = it.alarm_accounts
    rows = connection.execute(sa.select(a).where(a.c.alarm_id == alarm_id).order_by(a.c.id))
    return [AlarmAccount(**row._mapping) for row in rows]


def happenings_of(connection: sa.Connection, case_id: int) -> list[HappeningRow]:
    """Return what happened in a case, as the transaction sees it."""
    h = it.happenings
    rows = connection.execute(sa.select(h).where(h.c.case_id == case_id).order_by(h.c.id))
    return [HappeningRow(**row._mapping) for row in rows]


def read_mark(connection: sa.Connection, case_id: int) -> ClockMark | None:
    """Return the mark of a case."""
    m = it.case_clocks
    row = connection.execute(sa.select(m).where(m.c.case_id == case_id)).one_or_none()
    return None if row is None else ClockMark(**row._mapping)


def put_mark(connection: sa.Connection, mark: ClockMark) -> None:
    """Store the mark of a case in the place of the former."""
    m = it.case_clocks
    values = columns(mark)
    changed = connection.execute(m.update().where(m.c.case_id == mark.case_id).values(**values))
    if changed.rowcount == 0:
        connection.execute(m.insert().values(**values))


def see_notice(connection: sa.Connection, notice_id: int, by: str, at: int) -> bool:
    """Note who has seen a notice; False: somebody had already."""
    n = it.notices
    changed = connection.execute(
        n.update().where(n.c.id == notice_id, n.c.seen_at.is_(None)).values(seen_by=by, seen_at=at)
    )
    return changed.rowcount == 1


def read_notice(connection: sa.Connection, notice_id: int) -> NoticeRow | None:
    """Return one notice."""
    n = it.notices
    row = connection.execute(sa.select(n).where(n.c.id == notice_id)).one_or_none()
    return None if row is None else NoticeRow(**row._mapping)
