"""The store over SQLAlchemy Core; one dialect's opening is a file beside this one."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import sqlalchemy as sa

from central.store import tables as t
from central.store.audit import AuditQueries
from central.store.cases import CaseQueries
from central.store.identities import IdentityQueries
from central.store.intake import IntakeQueries
from central.store.interface import (
    AlertRow,
    DecisionRow,
    Device,
    Dropped,
    Event,
    EventKind,
    Message,
    RefusalRow,
    Run,
    Snapshot,
    Stored,
    StoreUnavailableError,
    Totals,
    Transaction,
)
from central.store.orders import OrderQueries
from central.store.people import PeopleQueries
from central.store.refunds import RefundQueries
from central.store.reports import ReportQueries
from central.store.triage import TriageQueries, within
from central.store.vans import VanQueries
from central.store.write import SqlTransaction
from contract import Refusal
from contract.words import Presence

WRITES = {"qianshao_writes": True}
"""Execution option that tells a dialect to take its write lock at BEGIN."""

_LATENCIES = 10_000  # alerts whose latency the totals look at, newest first


_FAR_APART = 2000
"""Sequence numbers further apart did not come together."""
_NEAR_RUNS = 4000
_LOOKED_AT = 40
"""Messages looked at for one that is asked for by its type."""
_AT_ONCE = 500
"""Devices that one statement asks for."""


@contextmanager
def _speaking_plainly() -> Iterator[None]:
    """Turn what a database driver raises on a full, locked or damaged file into one type."""
    try:
        yield
    except sa.exc.IntegrityError:
        raise  # a constraint broken by this program is a defect, never "try again"
    except sa.exc.DatabaseError as error:
        raise StoreUnavailableError(str(error.orig)) from error
    except sa.exc.TimeoutError as error:  # no connection came free
        raise StoreUnavailableError(str(error)) from error


class SqlStore(
    IdentityQueries,
    OrderQueries,
    PeopleQueries,
    AuditQueries,
    TriageQueries,
    CaseQueries,
    VanQueries,
    IntakeQueries,
    RefundQueries,
    ReportQueries,
):
    """See :class:`central.store.interface.Store`."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Begin a write; committed durably when the block ends, rolled back if it raises."""
        with _speaking_plainly(), self._engine.connect() as connection:
            writing = connection.execution_options(**WRITES)
            with writing.begin():
                transaction = SqlTransaction(writing)
                yield transaction
                transaction.flush()

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        with _speaking_plainly(), self._engine.connect() as connection, connection.begin():
            yield connection

    def reading(self) -> AbstractContextManager[sa.Connection]:
        """Look at the store from one moment, without holding up a writer."""
        return self._reading()

    def _all(self, query: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        with self._reading() as connection:
            return connection.execute(query).all()

    def _one(self, query: sa.Select[Any]) -> sa.Row[Any] | None:
        with self._reading() as connection:
            return connection.execute(query).one_or_none()

    # -- receipts -----------------------------------------------------------------------------

    def stored(self, device: str, came: Collection[int] | None = None) -> Stored:
        """Prefix and islands of a device, from one moment.

        The prefix is the run that holds the greatest chain start: a message whose ``prev`` is
        zeros says that its sender has nothing older to send, so what is missing before it is a
        gap for people to see, and no reason to hold the receipt back.

        ``came`` asks only for the islands around some sequence numbers.
        """
        with self._reading() as connection:
            return _stored(connection, {device: came})[device]

    def stored_by(self, came: Mapping[str, Collection[int]]) -> dict[str, Stored]:
        """The same for several devices at once, each with what came of it."""
        with self._reading() as connection:
            return _stored(connection, came)

    def note_receipts(self, at: int, up_to: dict[str, int]) -> None:
        """Remember which receipts were published."""
        with self.transaction() as tx:
            tx.update_devices(
                {d: {"receipt_up_to": seq, "receipt_at": at} for d, seq in up_to.items()}
            )

    # -- what pages read ----------------------------------------------------------------------

    def snapshot(
        self,
        alerts: int,
        decisions: int,
        areas: frozenset[str] | None = None,
        *,
        covers_own: bool = True,
    ) -> Snapshot:
        """Latest alerts and decisions, all devices, from one moment.

        ``areas`` leaves out what lies elsewhere; ``covers_own``: a device that names no area counts
        as inside.
        """
        latest = t.alerts.c.risen_at.desc(), t.alerts.c.id.desc()
        newest = t.decisions.c.received_at.desc(), t.decisions.c.seq.desc()
        of_alerts: sa.ColumnElement[bool] = sa.true()
        of_decisions: sa.ColumnElement[bool] = sa.true()
        if areas is not None:
            of_alerts = within(t.alerts.c.area, areas)
            inside = within(t.devices.c.area, areas)
            if covers_own:
                inside = sa.or_(inside, t.devices.c.area == "")
            of_decisions = t.decisions.c.device.in_(sa.select(t.devices.c.device).where(inside))
        with self._reading() as connection:
            return Snapshot(
                connection.execute(sa.select(sa.func.max(t.events.c.id))).scalar() or 0,
                tuple(
                    AlertRow(**row._mapping)
                    for row in connection.execute(
                        sa.select(t.alerts).where(of_alerts).order_by(*latest).limit(alerts)
                    )
                ),
                tuple(
                    DecisionRow(**row._mapping)
                    for row in connection.execute(
                        sa.select(t.decisions)
                        .where(of_decisions)
                        .order_by(*newest)
                        .limit(decisions)
                    )
                ),
                tuple(
                    Device(**row._mapping)
                    for row in connection.execute(sa.select(t.devices).order_by(t.devices.c.device))
                ),
            )

    def events_after(self, last_id: int, limit: int) -> Sequence[Event]:
        """Events with a greater id, in order."""
        rows = self._all(
            sa.select(t.events).where(t.events.c.id > last_id).order_by(t.events.c.id).limit(limit)
        )
        return [Event(row.id, row.at, EventKind(row.kind), row.data) for row in rows]

    def last_event_id(self) -> int:
        """Id of the newest event; 0 if there is none."""
        row = self._one(sa.select(sa.func.max(t.events.c.id).label("id")))
        return 0 if row is None or row.id is None else int(row.id)

    def alerts(
        self, limit: int, before_id: int | None = None, areas: frozenset[str] | None = None
    ) -> Sequence[AlertRow]:
        """Alerts by id, newest first; ``areas``: only those that lie there."""
        query = sa.select(t.alerts).order_by(t.alerts.c.id.desc()).limit(limit)
        if areas is not None:
            query = query.where(within(t.alerts.c.area, areas))
        if before_id is not None:
            query = query.where(t.alerts.c.id < before_id)
        return [AlertRow(**row._mapping) for row in self._all(query)]

    def alert(self, alert_id: int) -> AlertRow | None:
        """Return one alert."""
        row = self._one(sa.select(t.alerts).where(t.alerts.c.id == alert_id))
        return None if row is None else AlertRow(**row._mapping)

    def decision(self, device: str, seq: int) -> DecisionRow | None:
        """Return the decision that a message carried."""
        d = t.decisions.c
        row = self._one(sa.select(t.decisions).where(d.device == device, d.seq == seq))
        return None if row is None else DecisionRow(**row._mapping)

    def message(self, device: str, seq: int) -> Message | None:
        """Return one stored message."""
        m = t.messages.c
        row = self._one(sa.select(t.messages).where(m.device == device, m.seq == seq))
        return None if row is None else Message(**row._mapping)

    def messages_of_type(self, device: str, kind: str, limit: int) -> Sequence[Message]:
        """Stored messages of one type of a device, the newest first; only the latest are looked at.

        A device sends a report every ten seconds: those of an hour are among its last thousands.
        """
        m = t.messages.c
        latest = (
            sa.select(t.messages)
            .where(m.device == device)
            .order_by(m.seq.desc())
            .limit(limit * _LOOKED_AT)
            .subquery()
        )
        rows = self._all(
            sa.select(latest)
            .where(latest.c.type == kind)
            .order_by(latest.c.seq.desc())
            .limit(limit)
        )
        return [Message(**row._mapping) for row in rows]

    def devices(self) -> Sequence[Device]:
        """All devices by id."""
        rows = self._all(sa.select(t.devices).order_by(t.devices.c.device))
        return [Device(**row._mapping) for row in rows]

    def devices_away(self) -> set[str]:
        """Devices whose line is down, as they or the broker said last."""
        d = t.devices.c
        rows = self._all(sa.select(d.device).where(d.presence == Presence.OFFLINE))
        return {row.device for row in rows}

    def device(self, device: str) -> Device | None:
        """Return one device."""
        row = self._one(sa.select(t.devices).where(t.devices.c.device == device))
        return None if row is None else Device(**row._mapping)

    def runs(self, device: str) -> Sequence[Run]:
        """Runs of a device in order."""
        with self._reading() as connection:
            return _runs(connection, device)

    def dropped(self, device: str) -> Sequence[Dropped]:
        """Return what a device said it dropped, by lane and reason."""
        d, m = t.drops.c, t.messages.c
        came = (
            sa.select(sa.func.count())
            .where(m.device == d.device, m.seq.between(d.first, d.last))
            .scalar_subquery()
        )
        rows = self._all(
            sa.select(
                d.lane,
                d.reason,
                sa.func.sum(d.last - d.first + 1 - came).label("messages"),
                sa.func.min(d.first_put).label("first_put"),
                sa.func.max(d.last_put).label("last_put"),
            )
            .where(d.device == device)
            .group_by(d.lane, d.reason)
            .order_by(d.lane, d.reason)
        )
        # PostgreSQL sums whole numbers to a decimal
        return [Dropped(**{**row._mapping, "messages": int(row.messages)}) for row in rows]

    def refusals(self, limit: int, device: str | None = None) -> Sequence[RefusalRow]:
        """Latest refusals, of all or of one claimed device."""
        query = sa.select(t.refusals).order_by(t.refusals.c.id.desc()).limit(limit)
        if device is not None:
            query = query.where(t.refusals.c.device == device)
        return [RefusalRow(**row._mapping) for row in self._all(query)]

    def refusal_counts(self, device: str) -> dict[Refusal, int]:
        """Refusals of a claimed device by reason, since ever."""
        counts = t.refusal_counts.c
        rows = self._all(
            sa.select(counts.reason, counts["count"].label("times"))
            .where(counts.device == device)
            .order_by(counts.reason)
        )
        return {row.reason: row.times for row in rows}

    def totals(self) -> Totals:
        """Counts over the whole store."""
        a = t.alerts.c
        with self._reading() as connection:

            def number(of: sa.Select[Any]) -> int:
                return int(connection.execute(of).scalar() or 0)

            kept = {row.what: row.number for row in connection.execute(sa.select(t.tallies))}
            latencies = connection.execute(
                sa.select(a.raised_at, a.fired_at)
                .where(a.fired_at.is_not(None))
                .order_by(a.id.desc())
                .limit(_LATENCIES)
            )
            return Totals(
                messages=kept[t.messages.name],
                detections=kept[t.detections.name],
                decisions=kept[t.decisions.name],
                alerts=number(sa.select(sa.func.count()).select_from(t.alerts)),
                duplicates=number(sa.select(sa.func.sum(t.devices.c.duplicates))),
                refused=number(sa.select(sa.func.sum(t.refusal_counts.c["count"]))),
                alert_latencies_ms=tuple((r.raised_at - r.fired_at) / 1000 for r in latencies),
            )

    def close(self) -> None:
        """Let go of the files."""
        self._engine.dispose()


def _prefixes() -> sa.Select[Any]:
    """Query of the run that holds each device's chain start, with its newest message.

    What was dropped has no hash here: a receipt names the last message that has one.
    """
    d, r, m = t.devices, t.runs, t.messages
    below, within = t.runs.alias(), t.messages.alias()
    # The first message of all may be one that was dropped.
    start = sa.func.coalesce(sa.func.nullif(d.c.chain_start, 0), 1)
    first = sa.select(sa.func.max(below.c.first)).where(
        below.c.device == d.c.device, below.c.first <= start
    )
    newest = sa.select(sa.func.max(within.c.seq)).where(
        within.c.device == d.c.device, within.c.seq.between(r.c.first, r.c.last)
    )
    run = r.c.device == d.c.device, r.c.first == first.scalar_subquery(), r.c.last >= start
    message = m.c.device == d.c.device, m.c.seq == newest.correlate(d, r).scalar_subquery()
    return (
        sa.select(d.c.device, r.c.last, m.c.seq, m.c.digest)
        .select_from(d.join(r, sa.and_(*run)).outerjoin(m, sa.and_(*message)))
        .where(d.c.device.in_(sa.bindparam("at_devices", expanding=True)))
    )


_PREFIXES = _prefixes()


def _stored(
    connection: sa.Connection, came: Mapping[str, Collection[int] | None]
) -> dict[str, Stored]:
    devices, found = list(came), dict[str, Any]()
    for at in range(0, len(devices), _AT_ONCE):
        rows = connection.execute(_PREFIXES, {"at_devices": devices[at : at + _AT_ONCE]})
        found.update((row.device, row) for row in rows)
    return {
        device: _stored_of(connection, device, seqs, found.get(device))
        for device, seqs in came.items()
    }


def _stored_of(
    connection: sa.Connection, device: str, came: Collection[int] | None, prefix: Any
) -> Stored:
    last = 0 if prefix is None else prefix.last
    if came is None:
        runs = _runs(connection, device)
    elif came and max(came) <= last:
        runs = []  # the usual case: nothing came from beyond the prefix
    else:
        runs = _runs_near(connection, device, came)
    beyond = tuple(run for run in runs if run.first > last)
    if prefix is None or prefix.seq is None:
        return Stored(0, b"", beyond)
    return Stored(prefix.seq, prefix.digest, beyond)


def _runs(connection: sa.Connection, device: str) -> list[Run]:
    rows = connection.execute(
        sa.select(t.runs).where(t.runs.c.device == device).order_by(t.runs.c.first)
    )
    return [Run(row.first, row.last) for row in rows]


def _run_at(connection: sa.Connection, device: str, seq: int) -> Run | None:
    """Return the run that holds a sequence number."""
    row = connection.execute(
        sa.select(t.runs)
        .where(t.runs.c.device == device, t.runs.c.first <= seq)
        .order_by(t.runs.c.first.desc())
        .limit(1)
    ).one_or_none()
    return None if row is None or row.last < seq else Run(row.first, row.last)


def _runs_near(connection: sa.Connection, device: str, came: Collection[int]) -> list[Run]:
    """Return the runs between numbers that came together: the backlog is one group, now another."""
    groups: list[list[int]] = []
    for seq in sorted(came):
        if groups and seq - groups[-1][1] <= _FAR_APART:
            groups[-1][1] = seq
        else:
            groups.append([seq, seq])
    near: dict[int, Run] = {}
    for lowest, highest in groups:
        at = _run_at(connection, device, lowest)
        rows = connection.execute(
            sa.select(t.runs)
            .where(
                t.runs.c.device == device,
                t.runs.c.first >= (lowest if at is None else at.first),
                t.runs.c.first <= highest,
            )
            .order_by(t.runs.c.first)
            .limit(_NEAR_RUNS)
        )
        near.update((row.first, Run(row.first, row.last)) for row in rows)
    return [near[first] for first in sorted(near)]
