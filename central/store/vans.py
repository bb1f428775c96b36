"""Vans and where they were sent, in the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from central.dispatch import OPEN, Van
from central.places import fix_of
from central.store import case_tables as ct
from central.store import tables as t
from central.store.write import columns
from contract.words import DeviceKind, Presence


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatch:
    """One van sent to one place."""

    id: int = 0
    dispatch_id: bytes
    case_id: int
    van: str
    state: str
    lat: float
    lon: float
    text: str
    distance_m: float | None
    sent_by: str
    sent_at: int
    acknowledge_by: int | None
    acknowledged_at: int | None = None
    arrived_at: int | None = None
    ended_at: int | None = None
    crew: str = ""
    report: str = ""
    follows: int | None = None
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """Where a van is and when it is on duty, as somebody last said."""

    device: str
    lat: float | None
    lon: float | None
    placed_at: int | None
    duty_from: int
    duty_until: int
    crew: str
    changed_by: str
    changed_at: int


def read_vans(connection: sa.Connection) -> list[Van]:
    """Return all vans that may speak, with their posts and whether they are away on a dispatch."""
    d, p, sent = t.devices.c, ct.van_posts.c, ct.dispatches.c
    is_busy = sa.exists().where(sent.van == d.device, sent.ended_at.is_(None))
    query = (
        sa.select(
            d.device, d.presence, d.health, d.health_at,
            p.lat, p.lon, p.placed_at, p.duty_from, p.duty_until,
            is_busy.label("is_busy"),
        )
        .select_from(t.devices.outerjoin(ct.van_posts, p.device == d.device))
        .where(d.kind == DeviceKind.VAN, d.revoked_at.is_(None))
        .order_by(d.device)
    )  # fmt: skip
    return [
        Van(
            device=row.device, **_where(row),
            duty_from=row.duty_from or 0, duty_until=row.duty_until or 0,
            is_busy=bool(row.is_busy), is_online=row.presence is Presence.ONLINE,
        )
        for row in connection.execute(query)
    ]  # fmt: skip


def _where(row: sa.Row[Any]) -> dict[str, Any]:
    """Return the newer of what the van's own receiver says and what an officer wrote down."""
    fix = fix_of(row.health, row.health_at)
    if fix is None or (row.lat is not None and (fix.at or 0) < (row.placed_at or 0)):
        return {"lat": row.lat, "lon": row.lon, "placed_at": row.placed_at}
    place = fix.place
    return {"lat": place.lat, "lon": place.lon, "placed_at": fix.at, "is_own_word": True}


def put_post(connection: sa.Connection, post: Post) -> None:
    """Say where a van is and when it is on duty."""
    table, values = ct.van_posts, columns(post)
    done = connection.execute(table.update().where(table.c.device == post.device).values(**values))
    if not done.rowcount:
        connection.execute(table.insert().values(**values))


def add_dispatch(connection: sa.Connection, row: Dispatch) -> int:
    """Store a dispatch and return its id."""
    values = columns(row)
    del values["id"]
    added = connection.execute(ct.dispatches.insert().values(**values))
    key = added.inserted_primary_key
    assert key is not None
    return int(key[0])


def change_dispatch(connection: sa.Connection, row: Dispatch, **changes: Any) -> None:
    """Change named columns of a dispatch; its version grows."""
    connection.execute(
        ct.dispatches.update()
        .where(ct.dispatches.c.id == row.id)
        .values(version=row.version + 1, **changes)
    )


def read_dispatch(connection: sa.Connection, where: sa.ColumnElement[bool]) -> Dispatch | None:
    """Return the dispatch of which a condition is true."""
    row = connection.execute(sa.select(ct.dispatches).where(where)).one_or_none()
    return None if row is None else Dispatch(**row._mapping)


def vans_asked(connection: sa.Connection, case_id: int) -> set[str]:
    """Return the vans that were asked for a case and did not answer, or declined."""
    sent = ct.dispatches.c
    query = sa.select(sent.van).where(
        sent.case_id == case_id, sent.state.in_(("EXPIRED", "DECLINED"))
    )
    return set(connection.execute(query).scalars())


class VanQueries:
    """The part of the store that knows vans."""

    def _all(self, query: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        raise NotImplementedError

    def _reading(self) -> Any:
        raise NotImplementedError

    def vans(self) -> Sequence[Van]:
        """Return all vans that may speak."""
        with self._reading() as connection:
            return read_vans(connection)

    def dispatches(
        self, *, case_id: int | None = None, is_open: bool = False, limit: int = 100
    ) -> Sequence[Dispatch]:
        """Return dispatches, newest first: of a case, or those that are not over."""
        sent = ct.dispatches.c
        query = sa.select(ct.dispatches).order_by(sent.id.desc()).limit(limit)
        if case_id is not None:
            query = query.where(sent.case_id == case_id)
        if is_open:
            query = query.where(sent.state.in_([state.value for state in OPEN]))
        return [Dispatch(**row._mapping) for row in self._all(query)]

    def due_dispatches(self, now: int) -> Sequence[int]:
        """Return the dispatches whose crew had its minute and said nothing."""
        sent = ct.dispatches.c
        query = sa.select(sent.id).where(sent.acknowledge_by <= now).order_by(sent.id)
        return [row.id for row in self._all(query)]
