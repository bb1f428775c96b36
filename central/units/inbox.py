"""Feeds that come through the broker: kept with their message, taken after it, the sender told.

Ingest only puts a report aside, in the transaction that stores its message: a long feed holds up no
alarm, and a message that comes again changes nothing. :meth:`FeedInbox.step` then takes the rows in
one transaction of each report, and publishes a signed receipt until the broker has it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from central.actor import Actor
from central.alert_work import UnknownError, sql_of
from central.audit import REFUSED, record
from central.people.desk import WHOLE_COUNTRY
from central.store import unit_tables as t
from central.store.interface import Event
from central.store.sql import SqlStore
from central.units.feeds import FeedWork
from central.units.leads import open_lead_case
from contract import seal
from contract.clock import Clock, machine_boot_id
from contract.envelope import NO_PREVIOUS
from contract.keys import CENTRAL, Signer
from contract.messages import MAX_FEED_LINE, FeedReceipt, FeedRefusal, FeedReport
from contract.topics import Channel, down
from contract.words import FeedKind
from mqtt_bridge.ports import IntakePort

BATCH = 20
"""Reports that one step takes, and receipts that it publishes."""
NOT_BOUND = "this sender is not bound to that unit"


class FeedInbox:
    """The way of feeds through the broker. ``senders``: devices and the one unit each feeds."""

    def __init__(
        self,
        store: SqlStore,
        intake: IntakePort,
        *,
        tenant: str,
        signer: Signer,
        clock: Clock,
        senders: Mapping[str, str],
        on_events: Callable[[Sequence[Event]], None] = lambda events: None,
    ) -> None:
        self._store = store
        self._intake = intake
        self._tenant = tenant
        self._signer = signer
        self._clock = clock
        self._senders = senders
        self._on_events = on_events

    def note(self, tx: Any, now: int, device: str, seq: int, area: str, report: FeedReport) -> bool:
        """Put a report aside, in the transaction of its message; False: the sender may not.

        Its rows are dropped then, and the refusal is in the audit.
        """
        work = sql_of(tx)
        is_bound = self._senders.get(device) == report.unit
        row = {
            "device": device, "seq": seq, "unit": report.unit, "kind": report.kind.value,
            "name": report.name, "csv": report.rows.encode() if is_bound else b"",
            "lines_before": report.lines_before, "area": area or WHOLE_COUNTRY, "came_at": now,
            "is_bound": int(is_bound), "done_at": None if is_bound else now,
        }  # fmt: skip
        work._connection.execute(t.feed_inbox.insert(), row)
        if not is_bound:
            detail = {"unit": report.unit, "kind": report.kind.value, "why": NOT_BOUND}
            record(
                work, now, device, "feed.refused", f"{device}/{seq}",
                outcome=REFUSED, detail=detail,
            )  # fmt: skip
        return is_bound

    def step(self) -> int:
        """Take what waits and tell the senders; returns how many reports were taken or told."""
        i = t.feed_inbox.c
        waiting = sa.select(t.feed_inbox).where(i.told_at.is_(None)).order_by(i.came_at, i.seq)
        with self._store.reading() as connection:
            rows = connection.execute(waiting.limit(BATCH)).all()
        done = 0
        for row in rows:
            if row.done_at is None:
                self._take(row)
                done += 1
            done += self._tell(row.device, row.seq)
        return done

    def _take(self, row: Any) -> None:
        """Take the rows of one report, its cases and its mark, in one transaction."""
        now = int(self._clock.wall())
        actor = Actor(row.device, frozenset(), frozenset({row.area}))
        with self._store.transaction() as tx:
            work = FeedWork(sql_of(tx), now, open_lead_case)
            changes: dict[str, Any] = {"done_at": now, "csv": b""}
            try:
                receipt = work.take(
                    actor, row.unit, FeedKind(row.kind), row.name, row.csv.decode(),
                    lines_before=row.lines_before,
                )  # fmt: skip
                changes["feed_id"] = receipt.id
            except UnknownError as error:  # bound to a unit that nobody has added yet
                detail = {"unit": row.unit, "why": str(error)}
                name = f"{row.device}/{row.seq}"
                record(tx, now, row.device, "feed.refused", name, outcome=REFUSED, detail=detail)
            _mark(sql_of(tx)._connection, row.device, row.seq, changes)
        if work.events:
            self._on_events(work.events)

    def _tell(self, device: str, seq: int) -> int:
        """Publish the receipt of one report; 0 while there is no connection."""
        receipt = self._receipt(device, seq)
        raw = seal(
            receipt, tenant=self._tenant, device=CENTRAL, boot_id=machine_boot_id(), seq=0,
            wall=self._clock.wall(), mono=self._clock.mono(), quality=self._clock.quality(),
            prev=NO_PREVIOUS, signer=self._signer,
        )  # fmt: skip
        if not self._intake.publish(down(self._tenant, device, Channel.FEEDS), raw):
            return 0
        with self._store.transaction() as tx:
            changes = {"told_at": int(self._clock.wall())}
            _mark(sql_of(tx)._connection, device, seq, changes)
        return 1

    def _receipt(self, device: str, seq: int) -> FeedReceipt:
        f, i = t.feeds.c, t.feed_inbox.c
        query = (
            sa.select(t.feed_inbox, f.taken, f.refused, f.refusals)
            .outerjoin(t.feeds, f.id == i.feed_id)
            .where(i.device == device, i.seq == seq)
        )
        with self._store.reading() as connection:
            row = connection.execute(query).one()
        refusals = row.refusals or []
        if row.feed_id is None:
            refusals = [[0, f"{row.unit!r} is no member unit" if row.is_bound else NOT_BOUND]]
        return FeedReceipt(
            device=device, seq=seq, unit=row.unit, kind=FeedKind(row.kind), name=row.name,
            feed=row.feed_id, taken=row.taken or 0, refused=row.refused or 0,
            refusals=tuple(
                FeedRefusal(line=line, reason=reason[:MAX_FEED_LINE]) for line, reason in refusals
            ),
        )  # fmt: skip


def _mark(connection: sa.Connection, device: str, seq: int, changes: Mapping[str, Any]) -> None:
    i = t.feed_inbox
    which = sa.and_(i.c.device == device, i.c.seq == seq)
    connection.execute(i.update().where(which).values(**changes))
