"""What orders start and stop of the law's clocks: their steps as happenings of their case.

The steps stand in the log of orders; here they are noted for the case in the same transaction, so
that a clock is never without its order. An order of a case that this central does not have (one
typed with the number of another) has no case whose clock could run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from central.audit import SYSTEM
from central.clock_work import ClockWork
from central.clocks import Happening
from central.orders.book import Application, Event
from central.orders.kinds import KINDS, Hold, Trigger
from central.store import intake as stored
from central.store.case_tables import cases
from central.store.cases import CaseRow, read_case
from central.store.sql import SqlStore
from central.store.tables import order_targets
from central.store.write import SqlTransaction
from contract.clock import Clock

_BEGINS: Mapping[Hold, Happening] = {
    Hold.STOP: Happening.STOP_EXECUTED,
    Hold.FREEZE: Happening.FREEZE_EXECUTED,
}
_ENDS: Mapping[Hold, Happening] = {
    Hold.STOP: Happening.STOP_RELEASED,
    Hold.FREEZE: Happening.FREEZE_RELEASED,
}


def happening_of(application: Application, trigger: Trigger) -> Happening | None:
    """Return what a step of an order is to its clock; an end by itself needs no word.

    An extension begins a stop of its own and ends the former one: each has its 48 hours.
    """
    hold = KINDS[application.kind].begins
    if hold is None or hold not in _BEGINS:
        return None
    if trigger is Trigger.EXECUTE:
        return _BEGINS[hold]
    return _ENDS[hold] if trigger in {Trigger.RELEASE, Trigger.EXTEND} else None


def subject_of(application: Application) -> str:
    """Return how clocks name what an order holds."""
    last4 = "" if application.account is None else application.account.last4
    return f"**** {last4} {application.order_id.hex()[:8]}"


def note_order(tx: SqlTransaction, event: Event, application: Application, now: int) -> None:
    """Note a step of an order for the clocks of its case, if it has one here."""
    happening = happening_of(application, event.trigger)
    if happening is None:
        return
    connection = tx._connection
    query = sa.select(cases.c.id).where(cases.c.number == application.case)
    case_id = connection.execute(query).scalar()
    case = None if case_id is None else read_case(connection, case_id)
    if case is None:
        return
    ClockWork(tx, now).note(
        case, happening, int(event.at), by=event.by or SYSTEM, subject=subject_of(application),
        detail=application.order_id.hex(),
    )  # fmt: skip


class ReceiptWatch:
    """Ends the clock from the alarm to the stop once the last machine has answered."""

    def __init__(self, store: SqlStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def step(self) -> int:
        """Look at stopped cases whose machines had not all answered; returns how many now have."""
        done = 0
        for case_id, order, executed_at in self._store.stops_without_receipts():
            with self._store.transaction() as tx:
                assert isinstance(tx, SqlTransaction)
                known = stored.happenings_of(tx._connection, case_id)
                if any(row.happening == Happening.STOP_RECEIPTS.value for row in known):
                    continue
                at = _answered_at(tx, order, executed_at)
                case = read_case(tx._connection, case_id)
                if at is not None and case is not None:
                    self._note(tx, case, at)
                    done += 1
        return done

    def _note(self, tx: SqlTransaction, case: CaseRow, at: int) -> None:
        work = ClockWork(tx, int(self._clock.wall()))
        work.note(case, Happening.STOP_RECEIPTS, at, by=SYSTEM)


def _answered_at(tx: SqlTransaction, order: str, executed_at: int) -> int | None:
    """Return when the last machine answered an order; None: one has not yet."""
    o = order_targets.c
    try:
        name = bytes.fromhex(order)
    except ValueError:
        return None
    row: Any = tx._connection.execute(
        sa.select(
            sa.func.count().label("machines"),
            sa.func.count(o.outcome).label("answered"),
            sa.func.max(o.answered_at).label("last"),
        ).where(o.order_id == name)
    ).one()
    if row.answered < row.machines:
        return None
    return max(executed_at, int(row.last or 0))
