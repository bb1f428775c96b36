"""The write transaction over SQLAlchemy Core."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import sqlalchemy as sa

from central.store import tables as t
from central.store.interface import (
    AlertRow,
    DecisionRow,
    DetectionRow,
    Device,
    DropRow,
    Event,
    EventKind,
    Json,
    Link,
    Message,
    RefusalRow,
)
from contract.envelope import NO_PREVIOUS
from contract.messages import OrderResult
from contract.words import OrderOutcome

KEPT_REFUSALS = 500
"""Rows kept for each claimed device; the counters go on for ever."""


_AT: sa.BindParameter[str] = sa.bindparam("at_device", type_=sa.Text)
_SEQ: sa.BindParameter[int] = sa.bindparam("at_seq", type_=sa.BigInteger)

# Statements of the hot path are built once: building costs more than SQLite's work.
_DEVICE = sa.select(t.devices).where(t.devices.c.device == _AT)
_LINKS = sa.select(t.messages.c.seq, t.messages.c.digest, t.messages.c.prev).where(
    t.messages.c.device == _AT, t.messages.c.seq.between(_SEQ - 1, _SEQ + 1)
)
_ADD_MESSAGE = t.messages.insert()
_NEAR_RUNS = (
    sa.select(t.runs.c.first, t.runs.c.last)
    .where(t.runs.c.device == _AT, t.runs.c.first <= _SEQ + 1)
    .order_by(t.runs.c.first.desc())
    .limit(2)
)
_ADD_RUN = t.runs.insert()
_DROP_RUN = t.runs.delete().where(t.runs.c.device == _AT, t.runs.c.first == _SEQ)
_STRETCH_RUN = (
    t.runs.update()
    .where(t.runs.c.device == _AT, t.runs.c.first == _SEQ)
    .values(last=sa.bindparam("to_seq"))
)
_DETECTION = sa.select(t.detections).where(
    t.detections.c.device == _AT, t.detections.c.detection_id == sa.bindparam("at_id")
)
_ADD_DETECTION = t.detections.insert()
_ALERT = sa.select(t.alerts).where(t.alerts.c.key == sa.bindparam("at_key"))
_ADD_EVENT = t.events.insert()


def columns(row: Any) -> dict[str, Any]:
    """Return the fields of a row dataclass without copying what they hold."""
    return {field.name: getattr(row, field.name) for field in fields(row)}


class SqlTransaction:
    """See :class:`central.store.interface.Transaction`."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def _one(self, query: sa.Select[Any], **bound: Any) -> Any:
        return self._connection.execute(query, bound).one_or_none()

    # -- devices ------------------------------------------------------------------------------

    def device(self, device: str) -> Device | None:
        """Return the device as this transaction sees it."""
        row = self._one(_DEVICE, at_device=device)
        return None if row is None else Device(**row._mapping)

    def update_device(self, device: str, **changes: Any) -> None:
        """Change named columns of a device."""
        self._connection.execute(
            t.devices.update().where(t.devices.c.device == device).values(**changes)
        )

    # -- the chain ----------------------------------------------------------------------------

    def links_around(self, device: str, seq: int) -> dict[int, Link]:
        """Digest and ``prev`` of the stored messages seq - 1, seq and seq + 1, by seq."""
        rows = self._connection.execute(_LINKS, {"at_device": device, "at_seq": seq})
        return {row.seq: Link(row.seq, row.digest, row.prev) for row in rows}

    def add_message(self, message: Message) -> None:
        """Store a message and join it to its runs; the caller has checked the chain."""
        self._connection.execute(_ADD_MESSAGE, columns(message))
        self._join_runs(message.device, message.seq)
        if message.prev == NO_PREVIOUS:
            start = sa.func.coalesce(t.devices.c.chain_start, 0)
            self._connection.execute(
                t.devices.update()
                .where(t.devices.c.device == message.device, start < message.seq)
                .values(chain_start=message.seq)
            )

    def _join_runs(self, device: str, seq: int) -> None:
        here = {"at_device": device, "at_seq": seq}
        near = self._connection.execute(_NEAR_RUNS, here).all()
        if any(run.first <= seq <= run.last for run in near):
            return  # the device had given it up, and it came after all
        before = next((run for run in near if run.last == seq - 1), None)
        after = next((run for run in near if run.first == seq + 1), None)
        last = seq if after is None else after.last
        if after is not None:
            self._connection.execute(_DROP_RUN, {"at_device": device, "at_seq": seq + 1})
        if before is None:
            self._connection.execute(_ADD_RUN, {"device": device, "first": seq, "last": last})
        else:
            self._connection.execute(
                _STRETCH_RUN, {"at_device": device, "at_seq": before.first, "to_seq": last}
            )

    def add_drop(self, row: DropRow) -> None:
        """Note numbers that will not come; they close the hole for receipts."""
        self._connection.execute(t.drops.insert().values(**columns(row)))
        r = t.runs.c
        here = (r.device == row.device, r.first <= row.last + 1, r.last >= row.first - 1)
        touching = self._connection.execute(sa.select(r.first, r.last).where(*here)).all()
        self._connection.execute(t.runs.delete().where(*here))
        self._connection.execute(
            _ADD_RUN,
            {
                "device": row.device,
                "first": min([row.first, *(run.first for run in touching)]),
                "last": max([row.last, *(run.last for run in touching)]),
            },
        )

    def note_order_result(self, device: str, result: OrderResult) -> None:
        """Note what a device did with an order; a refusal takes back no word of it being applied.

        An order that a device refused as used before was applied there: that word stays too.
        """
        here: tuple[sa.ColumnElement[bool], ...] = (
            t.order_targets.c.order_id == result.order_id,
            t.order_targets.c.device == device,
        )
        if result.outcome is OrderOutcome.REFUSED:
            here = (*here, t.order_targets.c.outcome.is_(None))
        self._connection.execute(
            t.order_targets.update()
            .where(*here)
            .values(
                outcome=result.outcome,
                reason=result.reason,
                detail=result.detail,
                answered_at=int(result.at),
            )
        )

    def count_duplicate(self, device: str) -> None:
        """Note that a stored message came again."""
        self._connection.execute(
            t.devices.update()
            .where(t.devices.c.device == device)
            .values(duplicates=t.devices.c.duplicates + 1)
        )

    def add_refusal(self, refusal: RefusalRow) -> None:
        """Note and count a message that was not taken, and drop the oldest beyond the limit."""
        values = columns(refusal)
        del values["id"]
        added = self._connection.execute(t.refusals.insert().values(**values))
        kept = (
            sa.select(t.refusals.c.id)
            .where(t.refusals.c.device == refusal.device)
            .order_by(t.refusals.c.id.desc())
            .limit(1)
            .offset(KEPT_REFUSALS - 1)
            .scalar_subquery()
        )
        if _new_id(added) > KEPT_REFUSALS:
            self._connection.execute(
                t.refusals.delete().where(
                    t.refusals.c.device == refusal.device, t.refusals.c.id < kept
                )
            )
        self._count_refusal(refusal)

    def _count_refusal(self, refusal: RefusalRow) -> None:
        c = t.refusal_counts.c
        here = (c.device == refusal.device, c.reason == refusal.reason)
        counted = self._connection.execute(
            t.refusal_counts.update().where(*here).values(count=c["count"] + 1)
        )
        if counted.rowcount == 0:
            self._connection.execute(
                t.refusal_counts.insert().values(
                    device=refusal.device, reason=refusal.reason, count=1
                )
            )
        self._connection.execute(
            t.devices.update()
            .where(t.devices.c.device == refusal.device)
            .values(refused=t.devices.c.refused + 1)
        )

    # -- claims -------------------------------------------------------------------------------

    def detection(self, device: str, detection_id: bytes) -> DetectionRow | None:
        """Return the stored revision."""
        row = self._one(_DETECTION, at_device=device, at_id=detection_id)
        return None if row is None else DetectionRow(**row._mapping)

    def add_detection(self, row: DetectionRow) -> None:
        """Store a detection that is not there yet."""
        self._connection.execute(_ADD_DETECTION, columns(row))

    def replace_detection(self, row: DetectionRow) -> None:
        """Put a revision in the place of the stored one."""
        d = t.detections.c
        self._connection.execute(
            t.detections.update()
            .where(d.device == row.device, d.detection_id == row.detection_id)
            .values(**columns(row))
        )

    def add_decision(self, row: DecisionRow) -> None:
        """Store a decision."""
        self._connection.execute(t.decisions.insert().values(**columns(row)))

    def alert_by_key(self, key: str) -> AlertRow | None:
        """Return the alert of one kind and subject."""
        row = self._one(_ALERT, at_key=key)
        return None if row is None else AlertRow(**row._mapping)

    def put_alert(self, row: AlertRow) -> AlertRow:
        """Store an alert (id 0: a new one) and return it with its id."""
        values = columns(row)
        del values["id"]
        if row.id:
            self._connection.execute(
                t.alerts.update().where(t.alerts.c.id == row.id).values(**values)
            )
            return row
        added = self._connection.execute(t.alerts.insert().values(**values))
        return AlertRow(**{**columns(row), "id": _new_id(added)})

    def add_event(self, at: int, kind: EventKind, data: Json) -> Event:
        """Append to the stream."""
        added = self._connection.execute(_ADD_EVENT, {"at": at, "kind": kind, "data": data})
        return Event(_new_id(added), at, kind, data)


def _new_id(result: sa.CursorResult[Any]) -> int:
    key = result.inserted_primary_key
    assert key is not None
    return int(key[0])
