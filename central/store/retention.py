"""How long each class of data is kept; what alerts and cases rest on is never erased by a clock.

Erased rows leave what the chain needs: a message keeps its number, its hash and its place, so that
the same message sent again still counts once and a gap is still a gap. Only its bytes go.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from central.store import alert_tables as at_
from central.store import tables as t
from central.store.sql import SqlStore
from central.store.write import SqlTransaction, tally

DAY_US = 24 * 3600 * 1_000_000
LOOKED_UP = 100_000
AT_ONCE = 500
"""Rows of one transaction: ingest waits no longer than for one of its own batches."""
_TELEMETRY = ("health", "state", "gap", "order_result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """Days that each class of data is kept; 0: for ever."""

    telemetry_days: int = 30
    """Signed bytes of health reports and the like."""
    detections_days: int = 180
    """Detections that are part of no alert, and their signed bytes."""
    decisions_days: int = 365
    """Decisions of ATMs that are part of no alert, and their signed bytes."""
    stream_days: int = 7
    """Events by which open pages catch up."""
    refusals_days: int = 180
    """What was refused, by hash and reason."""


def erase(store: SqlStore, keep: Retention, now: int) -> int:
    """Erase what is too old, in small transactions; return how many rows were touched.

    What is old is looked for without the write lock, so that ingest never waits for a long look.
    """
    total = 0
    for days, kind in (
        (keep.telemetry_days, _TELEMETRY_BYTES),
        (keep.detections_days, _DETECTIONS),
        (keep.decisions_days, _DECISIONS),
        (keep.stream_days, _STREAM),
        (keep.refusals_days, _REFUSALS),
    ):
        if days:
            total += _erase_kind(store, kind, now - days * DAY_US)
    return total


Row = Any
Query = Callable[[int], sa.Select[Any]]
Eraser = Callable[[sa.Connection, Sequence[Row]], None]


@dataclass(frozen=True, slots=True)
class _Kind:
    """One class of data: what of it is older than a time, and how it goes."""

    find: Query
    erase: Eraser


def _erase_kind(store: SqlStore, kind: _Kind, before: int) -> int:
    total = 0
    while True:
        with store.reading() as connection:
            found = connection.execute(kind.find(before).limit(LOOKED_UP)).all()
        for begin in range(0, len(found), AT_ONCE):
            with store.transaction() as tx:
                assert isinstance(tx, SqlTransaction)
                kind.erase(tx._connection, found[begin : begin + AT_ONCE])
        total += len(found)
        if len(found) < LOOKED_UP:
            return total


def _blank(connection: sa.Connection, rows: Sequence[Row]) -> None:
    """Take the bytes of messages; their numbers and hashes stay."""
    m = t.messages.c
    if rows:
        connection.execute(
            t.messages.update()
            .where(m.device == sa.bindparam("of_device"), m.seq == sa.bindparam("of_seq"))
            .values(cose=b""),
            [{"of_device": row.device, "of_seq": row.seq} for row in rows],
        )


def _old_telemetry(before: int) -> sa.Select[Any]:
    m = t.messages.c
    return sa.select(m.device, m.seq).where(
        m.type.in_(_TELEMETRY), m.received_at < before, sa.func.length(m.cose) > 0
    )


def _old_detections(before: int) -> sa.Select[Any]:
    d, links = t.detections.c, at_.alert_detections.c
    is_linked = sa.exists().where(links.device == d.device, links.detection_id == d.detection_id)
    return sa.select(d.device, d.detection_id).where(
        d.alert_id.is_(None), d.received_at < before, ~is_linked
    )


def _erase_detections(connection: sa.Connection, rows: Sequence[Row]) -> None:
    d, o = t.detections.c, at_.observations.c
    for row in rows:
        gone = connection.execute(
            t.detections.delete().where(
                d.device == row.device,
                d.detection_id == row.detection_id,
                d.alert_id.is_(None),  # it may have become part of an alert since
            )
        )
        if not gone.rowcount:
            continue
        tally(connection, t.detections, -gone.rowcount)
        here = o.device == row.device, o.detection_id == row.detection_id
        _blank(connection, connection.execute(sa.select(o.device, o.seq).where(*here)).all())
        connection.execute(at_.observations.delete().where(*here))


def _old_decisions(before: int) -> sa.Select[Any]:
    d = t.decisions.c
    return sa.select(d.device, d.seq).where(d.alert_id.is_(None), d.received_at < before)


def _erase_decisions(connection: sa.Connection, rows: Sequence[Row]) -> None:
    d = t.decisions.c
    _blank(connection, rows)
    for row in rows:
        gone = connection.execute(
            t.decisions.delete().where(d.device == row.device, d.seq == row.seq)
        )
        tally(connection, t.decisions, -gone.rowcount)


def _old_by_id(table: sa.Table) -> Query:
    newest = sa.select(sa.func.max(table.c.id)).scalar_subquery()  # where a page begins must stay
    return lambda before: sa.select(table.c.id).where(table.c.at < before, table.c.id < newest)


def _erase_by_id(table: sa.Table) -> Eraser:
    def erase_rows(connection: sa.Connection, rows: Sequence[Row]) -> None:
        connection.execute(table.delete().where(table.c.id.in_([row.id for row in rows])))

    return erase_rows


_TELEMETRY_BYTES = _Kind(_old_telemetry, _blank)
_DETECTIONS = _Kind(_old_detections, _erase_detections)
_DECISIONS = _Kind(_old_decisions, _erase_decisions)
_STREAM = _Kind(_old_by_id(t.events), _erase_by_id(t.events))
_REFUSALS = _Kind(_old_by_id(t.refusals), _erase_by_id(t.refusals))
