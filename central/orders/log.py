"""The log of orders in the store: appended in one transaction with the audit, never changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from central.actor import Actor
from central.audit import REFUSED, SYSTEM, record
from central.clocks import Law
from central.orders.book import Application, Book, Event, OrderRecord
from central.orders.kinds import OrderKind, OrderRefusedError, Trigger
from central.store.interface import Event as StreamEvent
from central.store.interface import EventKind
from central.store.order_tables import order_events, order_sealed
from central.store.sql import SqlStore
from contract.accounts import CardRef
from contract.clock import Clock, UnixMicros
from contract.orders import ComparingMachine

_MAX_TEXT = 300
_AT_ONCE = 500


class SqlOrderLog:
    """See :class:`central.orders.desk.OrderLog`."""

    def __init__(
        self,
        store: SqlStore,
        clock: Clock,
        on_events: Callable[[Sequence[StreamEvent]], None] = lambda events: None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._on_events = on_events
        self._areas: dict[bytes, str] = {}
        """Where each order is: pages are told by area."""

    def load(self) -> Iterable[Event]:
        """All events, in the order in which they happened."""
        with self._store.reading() as connection:
            rows = connection.execute(sa.select(order_events).order_by(order_events.c.id)).all()
        events = [_event(row) for row in rows]
        for event in events:
            self._note_area(event)
        return events

    def _note_area(self, event: Event) -> None:
        if event.application is not None:
            self._areas[event.order_id] = event.application.area

    def append(
        self, events: Sequence[Event], by: Actor | None = None, sealed: bytes | None = None
    ) -> None:
        """Keep events and their lines of the audit together, durably."""
        told: list[StreamEvent] = []
        with self._store.transaction() as tx:
            connection: sa.Connection = tx._connection  # type: ignore[attr-defined]
            for event in events:
                connection.execute(order_events.insert().values(**_row(event)))
                self._note_area(event)
                data = {
                    "order": event.order_id.hex(),
                    "step": event.trigger.value,
                    "area": self._areas.get(event.order_id, ""),
                }
                told.append(tx.add_event(event.at, EventKind.ORDER, data))
                record(
                    tx,
                    event.at,
                    by or SYSTEM,
                    f"order.{event.trigger.value}",
                    event.order_id.hex(),
                    detail=_told(event),
                )
                self._note_clock(tx, event)
            if sealed is not None:
                connection.execute(
                    order_sealed.insert().values(order_id=events[0].order_id, sealed=sealed)
                )
        self._on_events(told)

    def _note_clock(self, tx: Any, event: Event) -> None:
        """Let the clocks of the case hear of it, in the same transaction."""
        from central.order_clocks import note_order

        draft = sa.select(order_events.c.application).where(
            order_events.c.order_id == event.order_id, order_events.c.application.is_not(None)
        )
        kept = tx._connection.execute(draft.limit(1)).scalar()
        if kept is not None:
            note_order(tx, event, read_application(kept), int(self._clock.wall()))

    def refuse(self, by: Actor | None, subject: str, error: OrderRefusedError) -> None:
        """Put a refusal into the audit: nothing else changed."""
        with self._store.transaction() as tx:
            record(
                tx,
                self._clock.wall(),
                by or SYSTEM,
                "order.refused",
                subject[:_MAX_TEXT],
                outcome=REFUSED,
                detail={"reason": error.reason.value, "detail": error.detail[:_MAX_TEXT]},
            )

    def sealed(self, order_id: bytes) -> bytes | None:
        """Return what an order sealed."""
        query = sa.select(order_sealed.c.sealed).where(order_sealed.c.order_id == order_id)
        with self._store.reading() as connection:
            found: bytes | None = connection.execute(query).scalar()
        return found


def released_orders(store: SqlStore, law: Law, first: int, end: int) -> list[OrderRecord]:
    """Orders that released something in [first, end), with what they ended and all it renewed."""
    e = order_events.c
    ended = sa.select(e.detail).where(e.step == Trigger.RELEASE.value, e.at >= first, e.at < end)
    rows: list[sa.Row[Any]] = []
    with store.reading() as connection:
        waiting = {
            bytes.fromhex(detail["by_order"])
            for detail in connection.execute(ended).scalars()
            if "by_order" in detail
        }
        known: set[bytes] = set()
        while waiting:
            known |= waiting
            asked, waiting = sorted(waiting), set()
            for at in range(0, len(asked), _AT_ONCE):
                some = sa.select(order_events).where(e.order_id.in_(asked[at : at + _AT_ONCE]))
                rows += connection.execute(some).all()
            for row in rows:
                if row.application is not None:
                    waiting |= {bytes.fromhex(name) for name in row.application["targets"]} - known
    return list(Book(law, map(_event, sorted(rows, key=lambda row: row.id))))


def _row(event: Event) -> dict[str, Any]:
    application = event.application
    return {
        "order_id": event.order_id,
        "step": event.trigger.value,
        "at": int(event.at),
        "actor": event.by,
        "detail": dict(event.detail),
        "application": None if application is None else application_json(application),
    }


def _event(row: sa.Row[Any]) -> Event:
    return Event(
        order_id=row.order_id,
        trigger=Trigger(row.step),
        at=UnixMicros(row.at),
        by=row.actor,
        detail=row.detail,
        application=None if row.application is None else read_application(row.application),
    )


def _told(event: Event) -> dict[str, Any]:
    """What the audit says of an event: no signature, no name, no number."""
    application = event.application
    if application is not None:
        account = application.account
        return {
            "kind": application.kind.value,
            "case": application.case,
            "area": application.area,
            "application": application.application_id,
            "account": "" if account is None else f"**** {account.last4}",
        }
    shown = ("code", "return_code", "failures", "held_fen", "by_order", "hint")
    return {name: event.detail[name] for name in shown if event.detail.get(name)}


def application_json(application: Application) -> dict[str, Any]:
    """Return an application as the store keeps it."""
    account, parent = application.account, application.parent
    return {
        "order_id": application.order_id.hex(),
        "kind": application.kind.value,
        "sender": application.sender,
        "application_id": application.application_id,
        "case": application.case,
        "area": application.area,
        "account": None if account is None else [account.hmac.hex(), account.last4],
        "amount_fen": application.amount_fen,
        "transfer_at": int(application.transfer_at),
        "limit_fen": application.limit_fen,
        "is_urgent": application.is_urgent,
        "parent": None if parent is None else parent.hex(),
        "tier": application.tier,
        "targets": [target.hex() for target in application.targets],
        "ground": application.ground,
        "drafted_by": application.drafted_by,
        "drafted_at": int(application.drafted_at),
        "until": None if application.until is None else int(application.until),
        "counter": application.counter,
        "group": application.group,
        "machines": [[one.device, one.key.hex()] for one in application.machines],
    }


def read_application(kept: Mapping[str, Any]) -> Application:
    """Return an application from what the store keeps."""
    account, parent, until = kept["account"], kept["parent"], kept["until"]
    return Application(
        order_id=bytes.fromhex(kept["order_id"]),
        kind=OrderKind(kept["kind"]),
        sender=kept["sender"],
        application_id=kept["application_id"],
        case=kept["case"],
        area=kept["area"],
        account=(
            None if account is None else CardRef(hmac=bytes.fromhex(account[0]), last4=account[1])
        ),
        amount_fen=kept["amount_fen"],
        transfer_at=UnixMicros(kept["transfer_at"]),
        limit_fen=kept["limit_fen"],
        is_urgent=kept["is_urgent"],
        parent=None if parent is None else bytes.fromhex(parent),
        tier=kept["tier"],
        targets=tuple(bytes.fromhex(target) for target in kept["targets"]),
        ground=kept["ground"],
        drafted_by=kept["drafted_by"],
        drafted_at=UnixMicros(kept["drafted_at"]),
        until=None if until is None else UnixMicros(until),
        counter=kept["counter"],
        group=kept["group"],
        machines=tuple(
            ComparingMachine(device=device, key=bytes.fromhex(key))
            for device, key in kept.get("machines", ())  # what was drafted before names none
        ),
    )
