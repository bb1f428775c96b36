"""Cases in the store: rows, history, parts, inquiries and tip-offs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from central.store import case_tables as ct
from central.store import tables as t
from central.store.interface import AlertRow, Json
from central.store.triage import within
from central.store.write import columns
from contract.words import AlertKind, Severity, TimeBasis


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseRow:
    """One case."""

    id: int = 0
    number: str
    kind: str
    severity: Severity
    area: str
    state: str
    dormant_since: int | None = None
    owner: str
    subject: Json
    lat: float | None = None
    lon: float | None = None
    opened_by: str
    opened_at: int
    first_seen: int
    state_at: int
    updated_at: int
    ended_at: int | None = None
    reason_code: str | None = None
    transfer_to: str | None = None
    transfer_by: str | None = None
    version: int = 1

    @property
    def shown_state(self) -> str:
        """The state as people and the scenario format name it."""
        return "DORMANT" if self.dormant_since is not None else self.state


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseEvent:
    """One line of a case's history; it is never changed."""

    id: int = 0
    case_id: int
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
class CasePart:
    """A member, a task or a seized thing."""

    id: int = 0
    case_id: int
    kind: str
    text: str
    data: Json
    added_by: str
    added_at: int
    ended_by: str | None = None
    ended_at: int | None = None
    outcome: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inquiry:
    """A question to an operator or regulator, and its answer."""

    id: int = 0
    case_id: int
    unit: str
    question: str
    asked_by: str
    asked_at: int
    answer: str | None = None
    answered_for: str | None = None
    answered_by: str | None = None
    answered_at: int | None = None
    note: str = ""
    role: str = ""
    """Role of the liaison who is asked; empty: put before that was said, any liaison's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TipOff:
    """What somebody told, and the reward for it."""

    id: int = 0
    case_id: int | None = None
    source: str
    text: str
    area: str
    lat: float | None = None
    lon: float | None = None
    taken_by: str
    taken_at: int
    reward_fen: int | None = None
    awarded_by: str | None = None
    awarded_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """An open case and one of its alerts: when its emitter was last heard, and by whom."""

    case_id: int
    version: int
    dormant_since: int | None
    alert_id: int
    last_seen: int
    updated_at: int
    time_basis: TimeBasis
    device_seen: int | None
    """When the alert's station last said anything at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFilter:
    """Which cases a page asks for."""

    areas: frozenset[str]
    states: tuple[str, ...] = ()
    is_dormant: bool | None = None
    owner: str | None = None
    text: str | None = None


class CaseQueries:
    """The part of the store that knows cases."""

    def _all(self, query: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        raise NotImplementedError

    def _one(self, query: sa.Select[Any]) -> sa.Row[Any] | None:
        raise NotImplementedError

    def case(self, case_id: int) -> CaseRow | None:
        """Return one case."""
        row = self._one(sa.select(ct.cases).where(ct.cases.c.id == case_id))
        return None if row is None else CaseRow(**row._mapping)

    def case_page(
        self, wanted: CaseFilter, limit: int, after: tuple[int, int] | None = None
    ) -> tuple[Sequence[CaseRow], tuple[int, int] | None]:
        """Return cases, the one that changed last first, and from where the next page goes on."""
        c = ct.cases.c
        query = sa.select(ct.cases).where(within(c.area, wanted.areas))
        if wanted.states:
            query = query.where(c.state.in_(wanted.states))
        if wanted.is_dormant is not None:
            is_awake = c.dormant_since.is_(None)
            query = query.where(~is_awake if wanted.is_dormant else is_awake)
        if wanted.owner:
            query = query.where(c.owner == wanted.owner)
        if wanted.text:
            text = sa.or_(
                c.number.icontains(wanted.text, autoescape=True),
                sa.cast(c.subject, sa.Text).icontains(wanted.text, autoescape=True),
            )
            query = query.where(text)
        if after is not None:
            at, last = after
            query = query.where(
                c.updated_at <= at,
                sa.or_(c.updated_at < at, sa.and_(c.updated_at == at, c.id < last)),
            )
        rows = self._all(query.order_by(c.updated_at.desc(), c.id.desc()).limit(limit + 1))
        page = [CaseRow(**row._mapping) for row in rows[:limit]]
        return page, (page[-1].updated_at, page[-1].id) if len(rows) > limit else None

    def case_counts(self, areas: frozenset[str]) -> dict[str, int]:
        """Return how many cases there are in each state; sleeping ones count as DORMANT."""
        c = ct.cases.c
        is_asleep = sa.case((c.dormant_since.is_(None), 0), else_=1)
        rows = self._all(
            sa.select(c.state, is_asleep.label("asleep"), sa.func.count().label("times"))
            .where(within(c.area, areas))
            .group_by(c.state, is_asleep)
        )
        counts: dict[str, int] = {}
        for row in rows:
            state = "DORMANT" if row.asleep else row.state
            counts[state] = counts.get(state, 0) + int(row.times)
        return counts

    def case_events(self, case_id: int) -> Sequence[CaseEvent]:
        """Return a case's history, oldest first."""
        e = ct.case_events
        rows = self._all(sa.select(e).where(e.c.case_id == case_id).order_by(e.c.id))
        return [CaseEvent(**row._mapping) for row in rows]

    def case_parts(self, case_id: int) -> Sequence[CasePart]:
        """Return members, tasks and seized things, oldest first."""
        p = ct.case_parts
        rows = self._all(sa.select(p).where(p.c.case_id == case_id).order_by(p.c.id))
        return [CasePart(**row._mapping) for row in rows]

    def case_alerts(self, case_id: int) -> Sequence[AlertRow]:
        """Return the alerts of a case."""
        query = (
            sa.select(t.alerts)
            .join(ct.case_alerts, ct.case_alerts.c.alert_id == t.alerts.c.id)
            .where(ct.case_alerts.c.case_id == case_id)
            .order_by(t.alerts.c.id)
        )
        return [AlertRow(**row._mapping) for row in self._all(query)]

    def heard_of_cases(self, states: Collection[str], kinds: Collection[str]) -> Sequence[Heard]:
        """Return every alert of the open cases of some kinds."""
        c, links, a, d = ct.cases.c, ct.case_alerts.c, t.alerts.c, t.devices.c
        query = (
            sa.select(
                links.case_id, c.version, c.dormant_since,
                a.id.label("alert_id"), a.last_seen, a.updated_at, a.time_basis,
                d.last_seen.label("device_seen"),
            )
            .join(ct.case_alerts, links.case_id == c.id)
            .join(t.alerts, a.id == links.alert_id)
            .outerjoin(t.devices, d.device == a.device)
            .where(c.state.in_(sorted(states)), c.kind.in_(sorted(kinds)))
            .order_by(links.case_id, a.id)
        )  # fmt: skip
        return [Heard(**row._mapping) for row in self._all(query)]

    def open_leads(self, limit: int) -> Sequence[CaseRow]:
        """Return leads that nothing has been heard of, the newest first."""
        c = ct.cases.c
        query = sa.select(ct.cases).where(c.state == "LEAD").order_by(c.updated_at.desc())
        return [CaseRow(**row._mapping) for row in self._all(query.limit(limit))]

    def alerts_since(
        self, at: int, area: str, kinds: Collection[AlertKind], limit: int = 200
    ) -> Sequence[AlertRow]:
        """Return alerts of some kinds that rose in an area since a moment and are in no case."""
        a = t.alerts.c
        is_free = ~sa.exists().where(ct.case_alerts.c.alert_id == a.id)
        query = (
            sa.select(t.alerts)
            .where(a.risen_at >= at, a.kind.in_(list(kinds)), within(a.area, frozenset({area})))
            .where(is_free)
            .order_by(a.risen_at, a.id)
            .limit(limit)
        )
        return [AlertRow(**row._mapping) for row in self._all(query)]

    def cases_of_alert(self, alert_id: int) -> Sequence[CaseRow]:
        """Return the cases that an alert belongs to."""
        query = (
            sa.select(ct.cases)
            .join(ct.case_alerts, ct.case_alerts.c.case_id == ct.cases.c.id)
            .where(ct.case_alerts.c.alert_id == alert_id)
            .order_by(ct.cases.c.id)
        )
        return [CaseRow(**row._mapping) for row in self._all(query)]

    def inquiries(self, case_id: int) -> Sequence[Inquiry]:
        """Return the questions of a case, oldest first."""
        i = ct.inquiries
        rows = self._all(sa.select(i).where(i.c.case_id == case_id).order_by(i.c.id))
        return [Inquiry(**row._mapping) for row in rows]

    def open_inquiries(
        self, areas: frozenset[str], roles: Collection[str], limit: int = 200
    ) -> Sequence[tuple[Inquiry, CaseRow]]:
        """Return what liaisons of these roles are asked and nobody has answered, oldest first."""
        i = ct.inquiries
        query = (
            sa.select(i.c.id, i.c.case_id)
            .join(ct.cases, ct.cases.c.id == i.c.case_id)
            .where(
                i.c.answered_at.is_(None),
                i.c.role.in_(["", *roles]),
                within(ct.cases.c.area, areas),
            )
            .order_by(i.c.id)
            .limit(limit)
        )
        found = []
        for row in self._all(query):
            case = self.case(row.case_id)
            inquiry = self._one(sa.select(i).where(i.c.id == row.id))
            assert case is not None
            assert inquiry is not None
            found.append((Inquiry(**inquiry._mapping), case))
        return found

    def tip_offs(
        self, areas: frozenset[str], case_id: int | None = None, limit: int = 200
    ) -> Sequence[TipOff]:
        """Return what people told, newest first, of all or of one case."""
        tips = ct.tip_offs
        query = sa.select(tips).where(within(tips.c.area, areas))
        if case_id is not None:
            query = query.where(tips.c.case_id == case_id)
        rows = self._all(query.order_by(tips.c.id.desc()).limit(limit))
        return [TipOff(**row._mapping) for row in rows]


# -- writing, inside a transaction ----------------------------------------------------------------

Rows = CaseRow | CaseEvent | CasePart | Inquiry | TipOff
_TABLES: dict[type, sa.Table] = {
    CaseRow: ct.cases,
    CaseEvent: ct.case_events,
    CasePart: ct.case_parts,
    Inquiry: ct.inquiries,
    TipOff: ct.tip_offs,
}


def add(connection: sa.Connection, row: Rows) -> int:
    """Store a row and return its id."""
    values = columns(row)
    del values["id"]
    added = connection.execute(_TABLES[type(row)].insert().values(**values))
    key = added.inserted_primary_key
    assert key is not None
    return int(key[0])


def change(connection: sa.Connection, kind: type[Rows], row_id: int, **changes: Any) -> None:
    """Change named columns of a row."""
    table = _TABLES[kind]
    connection.execute(table.update().where(table.c.id == row_id).values(**changes))


def read_case(connection: sa.Connection, case_id: int) -> CaseRow | None:
    """Return one case as the transaction sees it."""
    row = connection.execute(sa.select(ct.cases).where(ct.cases.c.id == case_id)).one_or_none()
    return None if row is None else CaseRow(**row._mapping)


def read_part(connection: sa.Connection, part_id: int) -> CasePart | None:
    """Return one part."""
    p = ct.case_parts
    row = connection.execute(sa.select(p).where(p.c.id == part_id)).one_or_none()
    return None if row is None else CasePart(**row._mapping)


def read_inquiry(connection: sa.Connection, inquiry_id: int) -> Inquiry | None:
    """Return one question."""
    i = ct.inquiries
    row = connection.execute(sa.select(i).where(i.c.id == inquiry_id)).one_or_none()
    return None if row is None else Inquiry(**row._mapping)


def read_tip_off(connection: sa.Connection, tip_id: int) -> TipOff | None:
    """Return one tip-off."""
    tips = ct.tip_offs
    row = connection.execute(sa.select(tips).where(tips.c.id == tip_id)).one_or_none()
    return None if row is None else TipOff(**row._mapping)


def last_case_event(connection: sa.Connection, case_id: int) -> CaseEvent | None:
    """Return the newest line of a case's history."""
    e = ct.case_events
    query = sa.select(e).where(e.c.case_id == case_id).order_by(e.c.id.desc()).limit(1)
    row = connection.execute(query).one_or_none()
    return None if row is None else CaseEvent(**row._mapping)


def read_case_events(connection: sa.Connection, case_id: int) -> list[CaseEvent]:
    """Return a case's history as the transaction sees it, oldest first."""
    e = ct.case_events
    rows = connection.execute(sa.select(e).where(e.c.case_id == case_id).order_by(e.c.id))
    return [CaseEvent(**row._mapping) for row in rows]


def open_work(connection: sa.Connection, case_id: int) -> tuple[int, str]:
    """Return how many tasks of a case nobody has ended, and the vans that are under way."""
    p, sent = ct.case_parts.c, ct.dispatches.c
    tasks = connection.execute(
        sa.select(sa.func.count()).where(
            p.case_id == case_id, p.kind == "task", p.ended_at.is_(None)
        )
    ).scalar()
    vans = connection.execute(
        sa.select(sent.van).where(sent.case_id == case_id, sent.ended_at.is_(None))
    ).scalars()
    return int(tasks or 0), ", ".join(sorted(vans))


def cases_on_day(connection: sa.Connection, prefix: str) -> int:
    """Return how many numbers begin so: the next one follows."""
    c = ct.cases.c
    query = sa.select(sa.func.count()).where(c.number.startswith(prefix, autoescape=True))
    return int(connection.execute(query).scalar() or 0)


def open_case_of(connection: sa.Connection, alert_id: int, ended: Sequence[str]) -> str | None:
    """Return the number of the open case that an alert belongs to."""
    query = (
        sa.select(ct.cases.c.number)
        .join(ct.case_alerts, ct.case_alerts.c.case_id == ct.cases.c.id)
        .where(ct.case_alerts.c.alert_id == alert_id, ct.cases.c.state.not_in(ended))
    )
    found: str | None = connection.execute(query).scalar()
    return found


def link_alert(
    connection: sa.Connection, case_id: int, alert_id: int, *, relation: str, by: str, at: int
) -> bool:
    """Let an alert belong to a case; False if it does already."""
    links = ct.case_alerts
    here = links.c.case_id == case_id, links.c.alert_id == alert_id
    if connection.execute(sa.select(links.c.case_id).where(*here)).first() is not None:
        return False
    connection.execute(
        links.insert().values(
            case_id=case_id, alert_id=alert_id, relation=relation, linked_by=by, linked_at=at
        )
    )
    return True
