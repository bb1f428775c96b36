"""Legal clocks out of events: what started, what stopped it, what is due and when to warn.

Nothing is stored here: the same events and the same table give the same clocks, so that a clock
can be shown, tested and recomputed under another table without touching what happened.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from central.clocks.calendar import (
    add_months,
    add_working_days,
    day_of,
    end_of_years,
    local,
    micros,
    midnight,
)
from central.clocks.law import Law, LawRow, Subject
from contract.clock import UnixMicros

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
HOUR_US = 60 * MINUTE_US


class Happening(StrEnum):
    """What can start or stop a clock."""

    ALARM = "alarm"
    ENTERED = "entered"
    STOP_EXECUTED = "stop_executed"
    STOP_RECEIPTS = "stop_receipts"
    STOP_RELEASED = "stop_released"
    FREEZE_EXECUTED = "freeze_executed"
    FREEZE_RENEWED = "freeze_renewed"
    FREEZE_RELEASED = "freeze_released"
    TRANSFER_ASKED = "transfer_asked"
    TRANSFER_REVOKED = "transfer_revoked"
    NOTICE_PUBLISHED = "notice_published"
    REFUND_DECIDED = "refund_decided"
    REFUND_DONE = "refund_done"
    SANCTIONED = "sanctioned"
    SANCTION_LIFTED = "sanction_lifted"
    FACES_REACHED = "faces_reached"
    FACES_FILED = "faces_filed"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to one subject (a case, an order, a refund, a person)."""

    happening: Happening
    subject: str
    at: UnixMicros
    detail: str = ""
    """Ground of a sanction; empty elsewhere."""


class ClockState(StrEnum):
    """How a clock stands at a moment."""

    RUNNING = "running"
    WARNED = "warned"
    MET = "met"
    """A deadline was kept."""
    ENDED = "ended"
    """A term was ended before its time, by a release or a renewal."""
    BREACHED = "breached"
    """A deadline went by; doing it late does not mend it."""
    OVER = "over"
    """A term is over by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LegalClock:
    """One running or finished clock."""

    kind: Subject
    subject: str
    rule: str
    source: str
    started_at: UnixMicros
    due_at: UnixMicros
    warn_at: tuple[UnixMicros, ...] = ()
    stopped_at: UnixMicros | None = None
    is_term: bool = False
    """A term ends by itself and harms nobody; a deadline that goes by is a breach."""
    is_certain: bool = True
    """False: the working days of that year were not published yet."""

    def state(self, now: UnixMicros | int) -> ClockState:
        """Return the state at ``now``. A deadline is kept at its very instant."""
        stopped = None if self.stopped_at is None or self.stopped_at > now else self.stopped_at
        if self.is_term:
            if stopped is not None and stopped < self.due_at:
                return ClockState.ENDED
            if now >= self.due_at:
                return ClockState.OVER
        else:
            if stopped is not None:
                return ClockState.MET if stopped <= self.due_at else ClockState.BREACHED
            if now > self.due_at:
                return ClockState.BREACHED
        return ClockState.WARNED if any(at <= now for at in self.warn_at) else ClockState.RUNNING

    def elapsed_us(self, now: UnixMicros | int) -> int:
        """Time that ran, until it was stopped or ``now``."""
        end = int(now) if self.stopped_at is None else min(int(self.stopped_at), int(now))
        return max(0, end - int(self.started_at))


@dataclass(frozen=True, slots=True)
class Reminder:
    """A moment at which somebody is told."""

    at: UnixMicros
    clock: LegalClock
    is_due: bool
    """Whether the time is up, rather than a warning before."""


@dataclass(frozen=True, slots=True)
class _Rule:
    starts: frozenset[Happening]
    stops: frozenset[Happening]
    make: Callable[[Event, LawRow], LegalClock]


def _clock(event: Event, row: LawRow, due: int, **changes: object) -> LegalClock:
    clock = LegalClock(
        kind=row.subject,
        subject=event.subject,
        rule=row.id,
        source=row.source,
        started_at=event.at,
        due_at=UnixMicros(due),
    )
    return replace(clock, **changes)  # type: ignore[arg-type]


def _before(due: int, row: LawRow, started: int) -> tuple[UnixMicros, ...]:
    hours: Sequence[int] = row.values.get("warn_before_hours", ())
    return tuple(UnixMicros(due - h * HOUR_US) for h in hours if due - h * HOUR_US > started)


def _entry(event: Event, row: LawRow) -> LegalClock:
    marks = tuple(UnixMicros(event.at + m * MINUTE_US) for m in row.values["remind_at_minutes"])
    return _clock(event, row, event.at + row.values["minutes"] * MINUTE_US, warn_at=marks)


def _entry_to_stop(event: Event, row: LawRow) -> LegalClock:
    return _clock(event, row, event.at + row.values["seconds"] * SECOND_US)


def _hours(event: Event, row: LawRow) -> LegalClock:
    due = event.at + row.values["hours"] * HOUR_US
    return _clock(event, row, due, is_term=True, warn_at=_before(due, row, event.at))


def _months(event: Event, row: LawRow) -> LegalClock:
    due = months_later(event.at, row.values["months"])
    return _clock(event, row, due, is_term=True, warn_at=_before(due, row, event.at))


def _days(event: Event, row: LawRow) -> LegalClock:
    due = midnight(day_of(event.at) + dt.timedelta(days=row.values["days"]))
    return _clock(event, row, due, is_term=True)


def _working_days(event: Event, row: LawRow) -> LegalClock:
    last, is_certain = add_working_days(day_of(event.at), row.values["working_days"])
    due = midnight(last + dt.timedelta(days=1))
    return _clock(event, row, due, is_certain=is_certain)


def _sanction(event: Event, row: LawRow) -> LegalClock:
    due = midnight(sanction_until(row, event.detail, day_of(event.at)))
    return _clock(event, row, due, is_term=True)


def months_later(at: UnixMicros | int, months: int) -> UnixMicros:
    """Return the same time of day so many months later in China (民法典 Art. 202)."""
    moment = local(at)
    return micros(dt.datetime.combine(add_months(moment.date(), months), moment.timetz()))


def sanction_until(row: LawRow, ground: str, first: dt.date) -> dt.date:
    """Return the day on which a sanction under ``row`` is over; ValueError: unknown ground."""
    years: Mapping[str, int] = row.values["years"]
    if ground not in years:
        raise ValueError(f"{row.id} knows no ground {ground[:40]!r}")
    return end_of_years(first, years[ground])


_H = Happening
_RULES: Mapping[Subject, _Rule] = {
    Subject.ENTRY: _Rule(frozenset({_H.ALARM}), frozenset({_H.ENTERED}), _entry),
    Subject.ENTRY_TO_STOP: _Rule(
        frozenset({_H.ALARM}), frozenset({_H.STOP_RECEIPTS}), _entry_to_stop
    ),
    Subject.STOP_PAYMENT: _Rule(
        frozenset({_H.STOP_EXECUTED}), frozenset({_H.STOP_RELEASED}), _hours
    ),
    Subject.FREEZE: _Rule(
        frozenset({_H.FREEZE_EXECUTED, _H.FREEZE_RENEWED}),
        frozenset({_H.FREEZE_RELEASED, _H.FREEZE_RENEWED}),
        _months,
    ),
    Subject.ATM_TRANSFER: _Rule(
        frozenset({_H.TRANSFER_ASKED}), frozenset({_H.TRANSFER_REVOKED}), _hours
    ),
    Subject.REFUND_NOTICE: _Rule(frozenset({_H.NOTICE_PUBLISHED}), frozenset(), _days),
    Subject.BANK_REFUND: _Rule(
        frozenset({_H.REFUND_DECIDED}), frozenset({_H.REFUND_DONE}), _working_days
    ),
    Subject.SANCTION: _Rule(frozenset({_H.SANCTIONED}), frozenset({_H.SANCTION_LIFTED}), _sanction),
    Subject.FACE_FILING: _Rule(
        frozenset({_H.FACES_REACHED}), frozenset({_H.FACES_FILED}), _working_days
    ),
}


def clocks(events: Iterable[Event], law: Law) -> list[LegalClock]:
    """Fold events into clocks, oldest first. Events may come in any order; doubles count once.

    A second start of a clock that still runs for the same subject changes nothing, but for a
    renewal, which ends the former term and begins the next.
    """
    ordered = sorted(set(events), key=lambda e: (e.at, list(Happening).index(e.happening)))
    done: list[LegalClock] = []
    running: dict[tuple[Subject, str], LegalClock] = {}
    for event in ordered:
        for subject, rule in _RULES.items():
            key = subject, event.subject
            clock = running.get(key)
            if clock is not None and event.happening in rule.stops:
                done.append(replace(clock, stopped_at=event.at))
                del running[key]
                clock = None
            if event.happening in rule.starts:
                if clock is not None and not (clock.is_term and clock.due_at <= event.at):
                    continue
                if clock is not None:
                    done.append(clock)
                running[key] = rule.make(event, law.row(subject, day_of(event.at)))
    return sorted((*done, *running.values()), key=lambda c: (c.started_at, c.kind, c.subject))


def reminders(
    running: Iterable[LegalClock], after: UnixMicros | int, until: UnixMicros | int
) -> list[Reminder]:
    """What is to be told in (after, until], in order; a stopped clock reminds of nothing more."""
    found: list[Reminder] = []
    for clock in running:
        moments = [(at, False) for at in clock.warn_at] + [(clock.due_at, True)]
        for at, is_due in moments:
            is_silent = clock.stopped_at is not None and clock.stopped_at <= at
            if after < at <= until and not is_silent:
                found.append(Reminder(at, clock, is_due))
    return sorted(found, key=lambda r: (r.at, r.clock.kind, r.clock.subject))
