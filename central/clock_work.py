"""The law's clocks of cases: what starts and stops them is kept, the duty officer is told in time.

A clock is computed from what happened, each time anew. Only the moment of the next word is kept
(``case_clocks``), so that neither the board nor the teller has to look at every case.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from central.actor import Actor, Role
from central.audit import SYSTEM, record
from central.clocks import (
    ClockState,
    Event,
    Happening,
    Law,
    LawError,
    LegalClock,
    Reminder,
    Subject,
    clocks,
    load_law,
    reminders,
)
from central.store import intake as stored
from central.store.cases import CaseRow, read_case
from central.store.intake import ClockMark, HappeningRow, NoticeRow
from central.store.interface import Event as StreamEvent
from central.store.interface import EventKind
from central.store.people import people, sessions
from central.store.sql import SqlStore
from central.store.write import SqlTransaction
from contract.clock import Clock, UnixMicros

CRITICAL = frozenset({Subject.ENTRY, Subject.STOP_PAYMENT})
"""Clocks whose end harms somebody at once."""


@functools.cache
def the_law() -> Law:
    """Return the table in force, read once."""
    return load_law()


@dataclass(frozen=True, slots=True)
class CaseClocks:
    """Clocks of one case; ``problems`` name days on which no rule was in force."""

    clocks: tuple[LegalClock, ...]
    problems: tuple[str, ...] = ()

    def is_running(self, now: int) -> bool:
        """Whether something still runs, or went by and was never done."""
        return any(is_open(clock, now) for clock in self.clocks)


def is_open(clock: LegalClock, now: int) -> bool:
    """Whether a clock belongs on the board: it runs, or it is overdue and nobody did it."""
    state = clock.state(now)
    if state in {ClockState.RUNNING, ClockState.WARNED}:
        return True
    return state is ClockState.BREACHED and clock.stopped_at is None


def clocks_of(rows: Iterable[HappeningRow], law: Law | None = None) -> CaseClocks:
    """Compute the clocks of one case; what no rule governs is said and stops no other clock."""
    by_subject: dict[str, list[Event]] = defaultdict(list)
    for row in rows:
        event = Event(Happening(row.happening), row.subject, UnixMicros(row.at), row.detail)
        by_subject[row.subject].append(event)
    made: list[LegalClock] = []
    problems: list[str] = []
    for events in by_subject.values():
        try:
            made += clocks(events, law or the_law())
        except (LawError, ValueError) as error:
            problems.append(str(error))
    return CaseClocks(tuple(sorted(made, key=lambda c: (c.due_at, c.kind))), tuple(problems))


def mark_of(case_id: int, found: CaseClocks, now: int, told_until: int) -> ClockMark:
    """Return what the store keeps to find the case by."""
    moments = [
        int(at)
        for clock in found.clocks
        if clock.stopped_at is None
        for at in (*clock.warn_at, clock.due_at)
        if at > told_until
    ]
    return ClockMark(
        case_id=case_id,
        is_running=int(found.is_running(now)),
        next_at=min(moments, default=None),
        told_until=told_until,
    )


def duty_officer(connection: sa.Connection, area: str, now: int, *, but: str = "") -> str:
    """Return the duty officer of an area who was seen last; else any; else nobody.

    ``but``: whose key a program uses to send alarms is nobody who sits at a desk.
    """
    seen = (
        sa.select(sa.func.max(sessions.c.seen_at))
        .where(
            sessions.c.person == people.c.name,
            sessions.c.ended_at.is_(None),
            sessions.c.expires_at > now,
        )
        .scalar_subquery()
    )
    query = sa.select(people.c.name, people.c.roles, people.c.areas, seen.label("seen"))
    fit = []
    for row in connection.execute(query.where(people.c.disabled_at.is_(None))):
        roles = frozenset(Role(word) for word in row.roles)
        actor = Actor(row.name, roles, frozenset(row.areas))
        if actor.has(Role.DUTY_OFFICER) and actor.covers(area) and row.name != but:
            fit.append((-(row.seen or 0), row.name))
    return str(min(fit)[1]) if fit else ""


class ClockWork:
    """Notes what happens, inside a transaction."""

    def __init__(self, tx: SqlTransaction, now: int) -> None:
        self._tx = tx
        self._now = now
        self.events: list[StreamEvent] = []

    def note(
        self,
        case: CaseRow,
        happening: Happening,
        at: int,
        *,
        by: Actor | str,
        subject: str = "",
        detail: str = "",
    ) -> None:
        """Keep that something happened to a case, or to something of it (an order, a refund)."""
        name = by.name if isinstance(by, Actor) else by
        row = HappeningRow(
            case_id=case.id, happening=happening.value, subject=subject or case.number, at=at,
            detail=detail, noted_by=name, noted_at=self._now,
        )  # fmt: skip
        stored.add(self._tx._connection, row)
        record(
            self._tx, self._now, by, f"clock.{happening.value}", case.number,
            detail={"of": row.subject, "detail": detail},
        )  # fmt: skip
        self._refresh(case.id)

    def _refresh(self, case_id: int, told_until: int | None = None) -> None:
        connection = self._tx._connection
        former = stored.read_mark(connection, case_id)
        if told_until is None:
            # Warnings of a clock that began before anybody here knew of it are told at once.
            told_until = 0 if former is None else former.told_until
        found = clocks_of(stored.happenings_of(connection, case_id))
        stored.put_mark(connection, mark_of(case_id, found, self._now, told_until))

    def tell_due(self, mark: ClockMark) -> int:
        """Tell what a case's clocks have to say by now; returns how much it was."""
        connection = self._tx._connection
        case = read_case(connection, mark.case_id)
        assert case is not None
        found = clocks_of(stored.happenings_of(connection, mark.case_id))
        due = reminders(found.clocks, mark.told_until, self._now)
        for reminder in _latest(due):
            self.tell(case, "clock", _said(reminder))
        self._refresh(mark.case_id, self._now)
        return len(due)

    def tell(self, case: CaseRow, kind: str, data: dict[str, object]) -> NoticeRow:
        """Tell the duty officer of a case's area; open pages hear it after the commit."""
        connection = self._tx._connection
        row = NoticeRow(
            at=self._now, kind=kind, case_id=case.id, area=case.area,
            told_to=duty_officer(connection, case.area, self._now),
            data={"case": case.number, **data},
        )  # fmt: skip
        row = NoticeRow(
            id=stored.add(connection, row), at=row.at, kind=kind, case_id=case.id, area=row.area,
            told_to=row.told_to, data=row.data,
        )  # fmt: skip
        record(
            self._tx, self._now, SYSTEM, "notice", case.number,
            detail={"kind": kind, "to": row.told_to, **data},
        )  # fmt: skip
        self.events.append(
            self._tx.add_event(self._now, EventKind.NOTICE, {"notice": notice_json(row)})
        )
        return row


def notice_json(row: NoticeRow) -> dict[str, object]:
    """Return a notice as streams and webhooks carry it: no name, no number of an account."""
    return {
        "id": row.id,
        "at": row.at,
        "kind": row.kind,
        "case_id": row.case_id,
        "area": row.area,
        "told_to": row.told_to,
        **row.data,
    }


def _latest(due: Sequence[Reminder]) -> list[Reminder]:
    """Of each clock the last word: after a stop of the central nobody needs the former ones."""
    last = {(r.clock.kind, r.clock.subject, r.clock.started_at): r for r in due}
    return list(last.values())


def _said(reminder: Reminder) -> dict[str, object]:
    clock = reminder.clock
    is_late = reminder.is_due and not clock.is_term
    grave = is_late or (reminder.is_due and clock.kind in CRITICAL)
    return {
        "clock": clock.kind.value,
        "of": clock.subject,
        "is_due": reminder.is_due,
        "is_term": clock.is_term,
        "due_at": int(clock.due_at),
        "severity": "critical" if grave else "high",
    }


class ClockDesk:
    """Tells what is due, and keeps what people note."""

    def __init__(
        self,
        store: SqlStore,
        clock: Clock,
        on_events: Callable[[Sequence[StreamEvent]], None] = lambda events: None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._on_events = on_events

    def tell_due(self) -> int:
        """Tell all that is due by now; each case in a transaction of its own."""
        told = 0
        for mark in self._store.clocks_to_tell(int(self._clock.wall())):
            with self._store.transaction() as tx:
                assert isinstance(tx, SqlTransaction)
                now = int(self._clock.wall())
                fresh = stored.read_mark(tx._connection, mark.case_id)
                if fresh is None or fresh.next_at is None or fresh.next_at > now:
                    continue
                work = ClockWork(tx, now)
                told += work.tell_due(fresh)
            if work.events:
                self._on_events(work.events)
        return told
