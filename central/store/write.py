"""The write transaction over SQLAlchemy Core."""

from __future__ import annotations

import functools
import itertools
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, NamedTuple

import sqlalchemy as sa

from central.allow import Allowance, AllowanceKind
from central.store import alert_tables as at_
from central.store import tables as t
from central.store.bulk import Bulk
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
from central.store.links import note_report
from central.store.lists import was_watched
from contract.envelope import NO_PREVIOUS
from contract.messages import CrewReport, Detection, OrderResult, VisitLinkReport
from contract.words import OrderOutcome

_NEAR = 64
"""Sequence numbers of one batch that are no further apart are looked up together."""

_AT_ONCE = 500
"""Devices that one statement asks for."""

KEPT_REFUSALS = 500
"""Rows kept for each claimed device; the counters go on for ever."""


_AT: sa.BindParameter[str] = sa.bindparam("at_device", type_=sa.Text)
_FROM: sa.BindParameter[int] = sa.bindparam("from_seq", type_=sa.BigInteger)
_TO: sa.BindParameter[int] = sa.bindparam("to_seq", type_=sa.BigInteger)

# Statements of the hot path are built once: building costs more than SQLite's work.
_DEVICE = sa.select(t.devices).where(t.devices.c.device == _AT)
_DEVICES = sa.select(t.devices).where(
    t.devices.c.device.in_(sa.bindparam("at_devices", expanding=True))
)
_AGAIN = (
    t.devices.update()
    .where(t.devices.c.device == _AT)
    .values(duplicates=t.devices.c.duplicates + 1)
)
_LINKS = sa.select(t.messages.c.seq, t.messages.c.digest, t.messages.c.prev).where(
    t.messages.c.device == _AT, t.messages.c.seq.between(_FROM, _TO)
)
_TALLY = (
    t.tallies.update()
    .where(t.tallies.c.what == sa.bindparam("of", type_=sa.Text))
    .values(number=t.tallies.c.number + sa.bindparam("by", type_=sa.BigInteger))
)
_ADD_MESSAGES = Bulk(t.messages)
_BEFORE, _NEXT = t.runs.alias(), t.runs.alias()
_AT_OR_BELOW = (
    sa.select(sa.func.max(_BEFORE.c.first))
    .where(_BEFORE.c.device == _AT, _BEFORE.c.first <= _FROM)
    .scalar_subquery()
)
# Runs do not overlap: below the one that begins last at or before a number none can reach it.
_TOUCHING = (
    t.runs.c.device == _AT,
    t.runs.c.first.between(sa.func.coalesce(_AT_OR_BELOW, _FROM), _TO),
    t.runs.c.last >= _FROM,
)
_TOUCHING_RUNS = sa.select(t.runs.c.first, t.runs.c.last).where(*_TOUCHING)
_DROP_RUNS = t.runs.delete().where(*_TOUCHING)
_ADD_RUN = t.runs.insert()
# What nearly every message does: it is one more of the last run, and reaches no other.
_GROW_RUN = (
    t.runs.update()
    .where(
        t.runs.c.device == _AT,
        t.runs.c.first == _AT_OR_BELOW,
        t.runs.c.last == _FROM,
        ~sa.exists().where(_NEXT.c.device == _AT, _NEXT.c.first.between(_FROM + 1, _TO)),
    )
    .values(last=_TO - 1)
)
_ANSWER = (
    t.order_targets.update()
    .where(t.order_targets.c.order_id == sa.bindparam("of_order"), t.order_targets.c.device == _AT)
    .values(
        {
            name: sa.bindparam(f"new_{name}")
            for name in ("outcome", "reason", "detail", "answered_at")
        }
    )
)
_REFUSAL = _ANSWER.where(t.order_targets.c.outcome.is_(None))
_DETECTIONS = sa.select(t.detections).where(
    t.detections.c.device == _AT,
    t.detections.c.detection_id.in_(sa.bindparam("at_ids", expanding=True)),
)
_ADD_DETECTIONS = Bulk(t.detections)
_ALERT = sa.select(t.alerts).where(t.alerts.c.key == sa.bindparam("at_key"))
_ALERT_BY_ID = sa.select(t.alerts).where(t.alerts.c.id == sa.bindparam("at_id"))
_ADD_EVENT = t.events.insert()
_ADD_OBSERVATIONS = Bulk(at_.observations)
_ROUTES = sa.select(at_.alert_routes)
_ALLOWANCES = (
    sa.select(at_.allowances)
    .where(at_.allowances.c.removed_at.is_(None))
    .order_by(at_.allowances.c.id)
)


@functools.cache
def _update(names: tuple[str, ...]) -> sa.Update:
    """Statement that changes some columns of a device."""
    values: dict[str, Any] = {name: sa.bindparam(f"new_{name}") for name in names}
    return t.devices.update().where(t.devices.c.device == _AT).values(**values)


def columns(row: Any) -> dict[str, Any]:
    """Return the fields of a row dataclass without copying what they hold."""
    kind: Any = type(row)
    return {name: getattr(row, name) for name in _names(kind)}


@functools.cache
def _names(row: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(row))


def tally(connection: sa.Connection, table: sa.Table, by: int) -> None:
    """Keep count of a table's rows where they are added or erased, for nobody to count millions."""
    connection.execute(_TALLY, {"of": table.name, "by": by})


class _Observation(NamedTuple):
    device: str
    seq: int
    detection_id: bytes
    revision: int
    last_seen: int


class SqlTransaction:
    """See :class:`central.store.interface.Transaction`."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._devices: dict[str, Device] = {}
        """Devices that were read ahead and are unchanged since."""
        self._links: dict[str, dict[int, Link]] = defaultdict(dict)
        self._read: dict[str, list[tuple[int, int]]] = defaultdict(list)
        self._messages: list[Message] = []
        self._detections: dict[tuple[str, bytes], DetectionRow | None] = {}
        self._new_detections: dict[tuple[str, bytes], DetectionRow] = {}
        self._alerts: dict[str, AlertRow | None] = {}
        self._changed_alerts: dict[str, AlertRow] = {}
        self._observations: dict[tuple[str, int], _Observation] = {}
        self._routes: dict[tuple[str, str], str] | None = None
        self._hits: dict[int, tuple[int, int]] = {}
        self._answers: list[tuple[str, OrderResult]] = []

    def flush(self) -> None:
        """Write what was gathered: many rows in one statement cost a fraction of one at a time."""
        self._flush_messages()
        self._flush_answers()
        if self._new_detections:
            _ADD_DETECTIONS.run(self._connection, list(self._new_detections.values()))
            tally(self._connection, t.detections, len(self._new_detections))
            self._new_detections.clear()
        if self._observations:
            _ADD_OBSERVATIONS.run(self._connection, list(self._observations.values()))
            self._observations.clear()
        self._flush_alerts()
        for allowance_id, (hits, at) in self._hits.items():
            self._connection.execute(
                at_.allowances.update()
                .where(at_.allowances.c.id == allowance_id)
                .values(hits=at_.allowances.c.hits + hits, last_hit_at=at)
            )
        self._hits.clear()

    def _flush_alerts(self) -> None:
        for row in self._changed_alerts.values():
            values = columns(row)
            del values["id"]
            self._connection.execute(
                t.alerts.update().where(t.alerts.c.id == row.id).values(**values)
            )
        self._changed_alerts.clear()

    def _flush_messages(self) -> None:
        if not self._messages:
            return
        tally(self._connection, t.messages, len(self._messages))
        _ADD_MESSAGES.run(self._connection, self._messages)
        came: dict[str, list[int]] = defaultdict(list)
        starts: dict[str, int] = {}
        for message in self._messages:
            came[message.device].append(message.seq)
            if message.prev == NO_PREVIOUS:
                starts[message.device] = max(starts.get(message.device, 0), message.seq)
        self._messages.clear()
        runs = {device: _groups(seqs, apart=1) for device, seqs in came.items()}
        self._grow({device: some[0] for device, some in runs.items() if len(some) == 1})
        for device, some in runs.items():
            for run in some if len(some) > 1 else ():
                self._cover(device, *run)
        for device, seq in starts.items():
            self._devices.pop(device, None)
            start = sa.func.coalesce(t.devices.c.chain_start, 0)
            self._connection.execute(
                t.devices.update()
                .where(t.devices.c.device == device, start < seq)
                .values(chain_start=seq)
            )

    def expect(
        self, seqs: Mapping[str, Collection[int]], detections: Collection[tuple[str, bytes]]
    ) -> None:
        """Read together what a batch will ask for one by one."""
        for some in _chunks(list(seqs)):
            found = self._connection.execute(_DEVICES, {"at_devices": some})
            self._devices.update((row.device, Device(**row._mapping)) for row in found)
        for device, numbers in seqs.items():
            for first, last in _groups(numbers, apart=_NEAR):
                here = {"at_device": device, "from_seq": first - 1, "to_seq": last + 1}
                found = self._connection.execute(_LINKS, here)
                self._links[device].update(
                    (row.seq, Link(row.seq, row.digest, row.prev)) for row in found
                )
                self._read[device].append((first, last))
        wanted: dict[str, list[bytes]] = defaultdict(list)
        for device, detection_id in detections:
            wanted[device].append(detection_id)
            self._detections.setdefault((device, detection_id), None)
        for device, ids in wanted.items():
            found = self._connection.execute(_DETECTIONS, {"at_device": device, "at_ids": ids})
            for row in found:
                self._detections[device, row.detection_id] = DetectionRow(**row._mapping)

    def _one(self, query: sa.Select[Any], **bound: Any) -> Any:
        return self._connection.execute(query, bound).one_or_none()

    # -- devices ------------------------------------------------------------------------------

    def device(self, device: str) -> Device | None:
        """Return the device as this transaction sees it."""
        if device in self._devices:
            return self._devices[device]
        row = self._one(_DEVICE, at_device=device)
        return None if row is None else Device(**row._mapping)

    def update_device(self, device: str, **changes: Any) -> None:
        """Change named columns of a device."""
        self.update_devices({device: changes})

    def update_devices(self, changes: Mapping[str, Mapping[str, Any]]) -> None:
        """Change named columns of devices; those that change the same share a statement."""
        alike: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
        for device, values in changes.items():
            if values:
                self._devices.pop(device, None)
                bound = {f"new_{name}": value for name, value in values.items()}
                alike[tuple(values)].append({"at_device": device, **bound})
        for names, rows in alike.items():
            self._connection.execute(_update(names), rows)

    # -- the chain ----------------------------------------------------------------------------

    def links_around(self, device: str, seq: int) -> dict[int, Link]:
        """Digest and ``prev`` of the stored messages seq - 1, seq and seq + 1, by seq."""
        if not any(first <= seq <= last for first, last in self._read[device]):
            self.expect({device: [seq]}, ())
        links = self._links[device]
        return {near: links[near] for near in (seq - 1, seq, seq + 1) if near in links}

    def add_message(self, message: Message) -> None:
        """Store a message and join it to its runs; the caller has checked the chain."""
        self._messages.append(message)
        link = Link(message.seq, message.digest, message.prev)
        self._links[message.device][message.seq] = link

    def _grow(self, runs: Mapping[str, tuple[int, int]]) -> None:
        """Join the next numbers of devices to their last runs, or to whatever they touch."""
        if not runs:
            return
        where = [
            {"at_device": device, "from_seq": first - 1, "to_seq": last + 1}
            for device, (first, last) in runs.items()
        ]
        if self._connection.execute(_GROW_RUN, where).rowcount != len(where):
            for device, run in runs.items():  # to cover those that did grow changes nothing
                self._cover(device, *run)

    def _cover(self, device: str, first: int, last: int) -> None:
        """Join numbers to the runs that they touch or overlap."""
        here = {"at_device": device, "from_seq": first - 1, "to_seq": last + 1}
        touching = self._connection.execute(_TOUCHING_RUNS, here).all()
        if touching:
            self._connection.execute(_DROP_RUNS, here)
        self._connection.execute(
            _ADD_RUN,
            {
                "device": device,
                "first": min([first, *(run.first for run in touching)]),
                "last": max([last, *(run.last for run in touching)]),
            },
        )

    def add_drop(self, row: DropRow) -> None:
        """Note numbers that will not come; they close the hole for receipts."""
        self._connection.execute(t.drops.insert().values(**columns(row)))
        self._cover(row.device, row.first, row.last)

    def note_order_result(self, device: str, result: OrderResult) -> None:
        """Note what a device did with an order; a refusal takes back no word of it being applied.

        An order that a device refused as used before was applied there: that word stays too.
        """
        self._answers.append((device, result))

    def _flush_answers(self) -> None:
        """In the order in which they came: of one device's answers the later counts."""
        for is_refusal, some in itertools.groupby(
            self._answers, lambda answer: answer[1].outcome is OrderOutcome.REFUSED
        ):
            self._connection.execute(
                _REFUSAL if is_refusal else _ANSWER,
                [
                    {
                        "of_order": result.order_id,
                        "at_device": device,
                        "new_outcome": result.outcome,
                        "new_reason": result.reason,
                        "new_detail": result.detail,
                        "new_answered_at": int(result.at),
                    }
                    for device, result in some
                ],
            )
        self._answers.clear()

    def note_order_refused(self, device: str, result: OrderResult, at: int) -> None:
        """Put a device's refusal of an order into the audit, with its reason."""
        from central.audit import REFUSED, record

        detail = {"device": device, "reason": "" if result.reason is None else result.reason.value}
        name = result.order_id.hex() or result.digest.hex()
        record(self, at, device, "order.refused_at_device", name, outcome=REFUSED, detail=detail)

    def note_crew_report(self, device: str, report: CrewReport, at: int) -> None:
        """Note what a van's crew says about where it was sent."""
        from central.dispatch_desk import take_report

        take_report(self, device, report, at)

    def note_link_report(self, device: str, report: VisitLinkReport) -> bool:
        """Keep which visits a machine linked; False: no order asked it."""
        return note_report(self._connection, device, report)

    def count_duplicate(self, device: str) -> None:
        """Note that a stored message came again."""
        self._devices.pop(device, None)
        self._connection.execute(_AGAIN, {"at_device": device})

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
        self._devices.pop(refusal.device, None)
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
        key = device, detection_id
        if key not in self._detections:
            self.expect({}, [key])
        return self._detections[key]

    def add_detection(self, row: DetectionRow) -> None:
        """Store a detection that is not there yet."""
        key = row.device, row.detection_id
        self._detections[key] = self._new_detections[key] = row

    def replace_detection(self, row: DetectionRow) -> None:
        """Put a revision in the place of the stored one."""
        key = row.device, row.detection_id
        self._detections[key] = row
        if key in self._new_detections:
            self._new_detections[key] = row
            return
        d = t.detections.c
        self._connection.execute(
            t.detections.update()
            .where(d.device == row.device, d.detection_id == row.detection_id)
            .values(**columns(row))
        )

    def support_alert(self, alert_id: int, device: str, detection_id: bytes) -> None:
        """Let a detection support a further alert; the same link again adds nothing."""
        links = at_.alert_detections
        values = {"alert_id": alert_id, "device": device, "detection_id": detection_id}
        here = [links.c[name] == value for name, value in values.items()]
        if self._connection.execute(sa.select(links.c.alert_id).where(*here)).first() is None:
            self._connection.execute(links.insert().values(**values))

    def add_decision(self, row: DecisionRow) -> None:
        """Store a decision."""
        self._connection.execute(t.decisions.insert().values(**columns(row)))
        tally(self._connection, t.decisions, 1)

    def alert_by_key(self, key: str) -> AlertRow | None:
        """Return the alert of one kind and subject."""
        if key not in self._alerts:
            row = self._one(_ALERT, at_key=key)
            self._alerts[key] = None if row is None else AlertRow(**row._mapping)
        return self._alerts[key]

    def alert_by_id(self, alert_id: int) -> AlertRow | None:
        """Return one alert, as this transaction sees it."""
        known = next((r for r in self._alerts.values() if r is not None and r.id == alert_id), None)
        if known is not None:
            return known
        row = self._one(_ALERT_BY_ID, at_id=alert_id)
        if row is None:
            return None
        found = AlertRow(**row._mapping)
        self._alerts[found.key] = found
        return found

    def retire_alert(self, row: AlertRow) -> None:
        """Let a closed alert give its key free for the next one of the same subject."""
        self._flush_alerts()
        former = replace(row, key=f"{row.key}#{row.id}")
        self._connection.execute(
            t.alerts.update().where(t.alerts.c.id == row.id).values(key=former.key)
        )
        self._alerts[row.key] = None
        self._alerts[former.key] = former

    def route(self, key: str, device: str) -> str:
        """Return the key to which a split sent what one device says of a subject."""
        if self._routes is None:
            rows = self._connection.execute(_ROUTES)
            self._routes = {(row.key, row.device): row.to_key for row in rows}
        return self._routes.get((key, device), key)

    def allowances(self) -> Sequence[Allowance]:
        """Return what is known to be harmless and was not taken back."""
        return [read_allowance(row) for row in self._connection.execute(_ALLOWANCES)]

    def count_allowance(self, allowance_id: int, at: int) -> None:
        """Note that an allowance kept a claim from becoming an alert."""
        self._hits[allowance_id] = self._hits.get(allowance_id, (0, 0))[0] + 1, at

    def is_watched(self, account: bytes, at: int) -> bool:
        """Return whether the list in force at a time watched an account."""
        return was_watched(self._connection, account, at)

    def add_observation(self, device: str, seq: int, detection: Detection) -> None:
        """Note which message carried which revision of a detection."""
        self._observations[device, seq] = _Observation(
            device, seq, detection.detection_id, detection.revision, int(detection.last_seen)
        )

    def put_alert(self, row: AlertRow) -> AlertRow:
        """Store an alert (id 0: a new one) and return it with its id."""
        if row.id:
            self._changed_alerts[row.key] = row
        else:
            values = columns(row)
            del values["id"]
            added = self._connection.execute(t.alerts.insert().values(**values))
            row = AlertRow(**{**columns(row), "id": _new_id(added)})
        self._alerts[row.key] = row
        return row

    def add_event(self, at: int, kind: EventKind, data: Json) -> Event:
        """Append to the stream."""
        added = self._connection.execute(_ADD_EVENT, {"at": at, "kind": kind, "data": data})
        return Event(_new_id(added), at, kind, data)


def _chunks(names: list[str]) -> list[list[str]]:
    """Names in groups that a statement can take."""
    return [names[at : at + _AT_ONCE] for at in range(0, len(names), _AT_ONCE)]


def read_allowance(row: sa.Row[Any]) -> Allowance:
    """Return an allowance from its row."""
    return Allowance(**{**row._mapping, "kind": AllowanceKind(row.kind)})


def _groups(numbers: Collection[int], *, apart: int) -> list[tuple[int, int]]:
    """Return first and last of numbers that lie together."""
    groups: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if groups and number - groups[-1][1] <= apart:
            groups[-1] = groups[-1][0], number
        else:
            groups.append((number, number))
    return groups


def _new_id(result: sa.CursorResult[Any]) -> int:
    key = result.inserted_primary_key
    assert key is not None
    return int(key[0])
