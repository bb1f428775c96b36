"""Alerts as people work on them: pages of them, their history, what belongs to them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from central.allow import Allowance
from central.store import alert_tables as at_
from central.store import tables as t
from central.store.interface import AlertRow, DetectionRow, Json
from central.store.write import columns, read_allowance
from contract.words import AlertKind, Severity

SHOWN_DETECTIONS = 200
_COUNTED = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertEvent:
    """One line of an alert's history; it is never changed."""

    id: int = 0
    alert_id: int
    at: int
    actor: str
    action: str
    from_state: str
    to_state: str
    version: int
    reason_code: str | None = None
    note: str = ""
    data: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertFilter:
    """Which alerts a page asks for; None: all."""

    areas: frozenset[str]
    """The reader's; ``000000`` is the country."""
    is_technical: bool = False
    states: tuple[str, ...] = ()
    severity: Severity | None = None
    kind: AlertKind | None = None
    device: str | None = None
    text: str | None = None
    """Part of a subject, an identity or a number."""


@dataclass(frozen=True, slots=True)
class AlertPage:
    """One page, and from where the next one goes on."""

    rows: tuple[AlertRow, ...]
    after: tuple[int, int] | None
    """``risen_at`` and id of the last row; None: there is no next page."""


@dataclass(frozen=True, slots=True)
class AlertStand:
    """As much of an alert as says where it is: values that state no position are left out."""

    id: int
    device: str
    area: str
    subject: Json
    summary: Json


def within(column: sa.ColumnElement[str], areas: frozenset[str]) -> sa.ColumnElement[bool]:
    """Condition that a division lies in one of a person's areas, in a form that an index serves."""
    ways = []
    for area in sorted(areas):
        level = next((n for n in (0, 2, 4) if area[n:] == "0" * (6 - n)), 6)
        if level == 0:
            return sa.true()
        ways.append(column.between(area[:level], area[:level] + "9" * (6 - level)))
    return sa.or_(*ways) if ways else sa.false()


def _wanted(wanted: AlertFilter) -> list[sa.ColumnElement[bool]]:
    a = t.alerts.c
    where: list[sa.ColumnElement[bool]] = [
        a.is_technical == wanted.is_technical,
        within(a.area, wanted.areas),
    ]
    if wanted.states:
        where.append(a.state.in_(wanted.states))
    if wanted.severity is not None:
        where.append(a.severity == wanted.severity)
    if wanted.kind is not None:
        where.append(a.kind == wanted.kind)
    if wanted.device:
        where.append(a.device == wanted.device)
    if wanted.text:
        where.append(sa.cast(a.subject, sa.Text).icontains(wanted.text, autoescape=True))
    return where


def _if_placed(text: str) -> Json:
    """Read values that state a position; most do not, and reading thousands is what takes long."""
    values: Json = json.loads(text) if '"lat"' in text else {}
    return values


class TriageQueries:
    """The part of the store that knows what people do with alerts."""

    def _all(self, query: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        raise NotImplementedError

    def alert_page(
        self, wanted: AlertFilter, limit: int, after: tuple[int, int] | None = None
    ) -> AlertPage:
        """Return alerts, the one that rose last first."""
        a = t.alerts.c
        query = sa.select(t.alerts).where(*_wanted(wanted))
        if after is not None:
            risen_at, last_id = after
            query = query.where(
                sa.or_(a.risen_at < risen_at, sa.and_(a.risen_at == risen_at, a.id < last_id))
            )
            query = query.where(a.risen_at <= risen_at)  # what an index can begin at
        query = query.order_by(a.risen_at.desc(), a.id.desc()).limit(limit + 1)
        rows = [AlertRow(**row._mapping) for row in self._all(query)]
        page = tuple(rows[:limit])
        more = len(rows) > limit
        return AlertPage(page, (page[-1].risen_at, page[-1].id) if more and page else None)

    def alert_counts(
        self, areas: frozenset[str], *, is_technical: bool = False
    ) -> dict[tuple[str, Severity], int]:
        """Return how many alerts there are of each state and severity."""
        a = t.alerts.c
        query = (
            sa.select(a.state, a.severity, sa.func.count().label("times"))
            .where(a.is_technical == is_technical, within(a.area, areas))
            .group_by(a.state, a.severity)
        )
        return {(row.state, row.severity): int(row.times) for row in self._all(query)}

    def alert_kinds(
        self, areas: frozenset[str], states: Sequence[str]
    ) -> dict[tuple[AlertKind, Severity], int]:
        """Return how many alerts in these states there are of each kind and severity."""
        a = t.alerts.c
        query = (
            sa.select(a.kind, a.severity, sa.func.count().label("times"))
            .where(a.state.in_(states), within(a.area, areas))
            .group_by(a.kind, a.severity)
        )
        return {(row.kind, row.severity): int(row.times) for row in self._all(query)}

    def alert_events(self, alert_id: int) -> Sequence[AlertEvent]:
        """Return an alert's history, oldest first."""
        e = at_.alert_events
        rows = self._all(sa.select(e).where(e.c.alert_id == alert_id).order_by(e.c.id))
        return [AlertEvent(**row._mapping) for row in rows]

    def merged_alerts(self, alert_id: int) -> Sequence[AlertRow]:
        """Return the alerts that were merged into one."""
        a = t.alerts
        rows = self._all(sa.select(a).where(a.c.merged_into == alert_id).order_by(a.c.id))
        return [AlertRow(**row._mapping) for row in rows]

    def detections_of(self, alert_id: int, limit: int = SHOWN_DETECTIONS) -> Sequence[DetectionRow]:
        """Return the newest detections behind an alert, those of merged alerts included."""
        d, links = t.detections.c, at_.alert_detections.c
        members = sa.select(t.alerts.c.id).where(
            sa.or_(t.alerts.c.id == alert_id, t.alerts.c.merged_into == alert_id)
        )
        linked = sa.and_(links.device == d.device, links.detection_id == d.detection_id)
        own = sa.select(t.detections).where(d.alert_id.in_(members))
        further = (  # from the few links to their detections, never the other way
            sa.select(t.detections)
            .join(at_.alert_detections, linked)
            .where(links.alert_id == alert_id)
        )
        found: dict[tuple[str, bytes], DetectionRow] = {}
        for query in (own, further):
            newest = query.order_by(d.received_at.desc(), d.device, d.seq.desc()).limit(limit)
            for row in self._all(newest):
                found.setdefault((row.device, row.detection_id), DetectionRow(**row._mapping))
        ordered = sorted(found.values(), key=lambda r: (-r.received_at, r.device, -r.seq))
        return ordered[:limit]

    def detections_of_each(
        self, alert_ids: Sequence[int], limit: int = SHOWN_DETECTIONS
    ) -> dict[int, Sequence[DetectionRow]]:
        """Return the same for many alerts at once; one without a detection is left out."""
        a, d, links = t.alerts.c, t.detections.c, at_.alert_detections.c
        shown = set(alert_ids)
        members = sa.select(a.id, a.merged_into).where(
            sa.or_(a.id.in_(shown), a.merged_into.in_(shown))
        )
        of_alert: dict[int, set[int]] = {}
        for row in self._all(members):
            of_alert[row.id] = {row.id, row.merged_into} & shown
        order = d.received_at.desc(), d.device, d.seq.desc()
        ranked = (
            sa.select(
                t.detections,
                d.alert_id.label("through"),
                sa.func.row_number().over(partition_by=d.alert_id, order_by=order).label("place"),
            )
            .where(d.alert_id.in_(of_alert))
            .subquery()
        )
        own = sa.select(ranked).where(ranked.c.place <= limit)
        linked = sa.and_(links.device == d.device, links.detection_id == d.detection_id)
        further = (
            sa.select(t.detections, links.alert_id.label("through"))
            .join(at_.alert_detections, linked)
            .where(links.alert_id.in_(shown))
        )
        found: dict[int, dict[tuple[str, bytes], DetectionRow]] = {}
        for query, is_own in ((own, True), (further, False)):
            for row in self._all(query):
                detection = DetectionRow(**{c.name: row._mapping[c.name] for c in d})
                key = detection.device, detection.detection_id
                for alert_id in of_alert[row.through] if is_own else {row.through}:
                    found.setdefault(alert_id, {}).setdefault(key, detection)
        return {
            alert_id: sorted(rows.values(), key=lambda r: (-r.received_at, r.device, -r.seq))[
                :limit
            ]
            for alert_id, rows in found.items()
        }

    def supported_by(
        self, detections: Sequence[tuple[str, bytes]]
    ) -> dict[tuple[str, bytes], list[int]]:
        """Return the further alerts that each of some detections supports."""
        links = at_.alert_detections.c
        found: dict[tuple[str, bytes], list[int]] = {}
        of_device: dict[str, list[bytes]] = {}
        for device, detection_id in detections:
            of_device.setdefault(device, []).append(detection_id)
        for device, ids in of_device.items():
            query = sa.select(at_.alert_detections).where(
                links.device == device, links.detection_id.in_(ids)
            )
            for row in self._all(query.order_by(links.alert_id)):
                found.setdefault((row.device, row.detection_id), []).append(row.alert_id)
        return found

    def alert_stands(
        self, limit: int, before_id: int | None = None, areas: frozenset[str] | None = None
    ) -> Sequence[AlertStand]:
        """Return what says where alerts are, newest first."""
        a = t.alerts.c
        texts = [sa.cast(column, sa.Text).label(column.name) for column in (a.subject, a.summary)]
        query = sa.select(a.id, a.device, a.area, *texts)
        if areas is not None:
            query = query.where(within(a.area, areas))
        if before_id is not None:
            query = query.where(a.id < before_id)
        rows = self._all(query.order_by(a.id.desc()).limit(limit))
        return [
            AlertStand(
                row.id, row.device, row.area, _if_placed(row.subject), _if_placed(row.summary)
            )
            for row in rows
        ]

    def alerts_of(self, alert_ids: Sequence[int]) -> Sequence[AlertRow]:
        """Return some alerts, newest first."""
        a = t.alerts.c
        query = sa.select(t.alerts).where(a.id.in_(alert_ids)).order_by(a.id.desc())
        return [AlertRow(**row._mapping) for row in self._all(query)]

    def observations_of(
        self, device: str, detection_id: bytes, limit: int = SHOWN_DETECTIONS
    ) -> Sequence[tuple[int, int, int]]:
        """Return the messages of a detection, newest first: seq, revision, last seen."""
        o = at_.observations.c
        query = (
            sa.select(o.seq, o.revision, o.last_seen)
            .where(o.device == device, o.detection_id == detection_id)
            .order_by(o.seq.desc())
            .limit(limit)
        )
        return [(row.seq, row.revision, row.last_seen) for row in self._all(query)]

    def called(self, areas: frozenset[str]) -> Sequence[tuple[Severity, int, int, int]]:
        """Return the alerts for which somebody was called and that still wait, by how far it went.

        Severity, calls so far, how many alerts, and the number of the one that waits longest.
        """
        a = t.alerts.c
        query = (
            sa.select(
                a.severity,
                a.escalation,
                sa.func.count().label("times"),
                sa.func.min(a.id).label("id"),
            )
            .where(a.escalate_at.is_not(None), a.escalation > 0, within(a.area, areas))
            .group_by(a.severity, a.escalation)
        )
        return [(row.severity, row.escalation, row.times, row.id) for row in self._all(query)]

    def due_calls(self, now: int, limit: int) -> Sequence[int]:
        """Return alerts that nobody has acknowledged and whose next call is due."""
        a = t.alerts.c
        query = sa.select(a.id).where(a.escalate_at <= now).order_by(a.escalate_at).limit(limit)
        return [row.id for row in self._all(query)]

    def all_allowances(self, limit: int = _COUNTED) -> Sequence[Allowance]:
        """Return every allowance, those that were taken back too, newest first."""
        a = at_.allowances
        rows = self._all(sa.select(a).order_by(a.c.id.desc()).limit(limit))
        return [read_allowance(row) for row in rows]


def add_event(connection: sa.Connection, event: AlertEvent) -> None:
    """Append to an alert's history."""
    values = columns(event)
    del values["id"]
    connection.execute(at_.alert_events.insert().values(**values))


def last_event(connection: sa.Connection, alert_id: int) -> AlertEvent | None:
    """Return the newest line of an alert's history."""
    e = at_.alert_events
    query = sa.select(e).where(e.c.alert_id == alert_id).order_by(e.c.id.desc()).limit(1)
    row = connection.execute(query).one_or_none()
    return None if row is None else AlertEvent(**row._mapping)


def add_allowance(connection: sa.Connection, allowance: Allowance) -> int:
    """Store an allowance and return its id."""
    values = columns(allowance)
    del values["id"]
    values["kind"] = allowance.kind.value
    added = connection.execute(at_.allowances.insert().values(**values))
    key = added.inserted_primary_key
    assert key is not None
    return int(key[0])


def remove_allowance(connection: sa.Connection, allowance_id: int, by: str, at: int) -> bool:
    """Take an allowance back; False if it is not in force."""
    a = at_.allowances.c
    done = connection.execute(
        at_.allowances.update()
        .where(a.id == allowance_id, a.removed_at.is_(None))
        .values(removed_by=by, removed_at=at)
    )
    return bool(done.rowcount)


def send_elsewhere(connection: sa.Connection, former: AlertRow, new: AlertRow, device: str) -> int:
    """Move what one device said from an alert to another, now and from now on; return how much."""
    d = t.detections.c
    moved = connection.execute(
        t.detections.update()
        .where(d.alert_id == former.id, d.device == device)
        .values(alert_id=new.id)
    )
    routes = at_.alert_routes
    connection.execute(routes.delete().where(routes.c.key == former.key, routes.c.device == device))
    connection.execute(routes.insert().values(key=former.key, device=device, to_key=new.key))
    return int(moved.rowcount)


def newest_detection(
    connection: sa.Connection, alert_id: int, *, device: str, is_other: bool
) -> DetectionRow | None:
    """Return an alert's newest detection of one device, or of any other device."""
    d = t.detections.c
    whose = d.device != device if is_other else d.device == device
    row = connection.execute(
        sa.select(t.detections)
        .where(d.alert_id == alert_id, whose)
        .order_by(d.received_at.desc(), d.seq.desc())
        .limit(1)
    ).one_or_none()
    return None if row is None else DetectionRow(**row._mapping)


def repoint_merged(connection: sa.Connection, former: int, new: int) -> None:
    """What was merged into one alert follows it into another."""
    connection.execute(
        t.alerts.update().where(t.alerts.c.merged_into == former).values(merged_into=new)
    )
