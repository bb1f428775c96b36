"""What member units send: taken row by row, what is refused named by its line, a receipt for all.

A unit sends numbers to block, numbers that still called, leads of suspected SIM banks, or figures
of itself. Figures are kept as they were sent, with their source; nothing is computed from them.
"""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from central.actor import Actor
from central.alert_states import RuleError
from central.alert_work import UnknownError, sql_of
from central.audit import record
from central.clocks import micros
from central.numbers.dedupe import normalise
from central.people.permissions import Permission
from central.store import unit_tables as t
from central.store.interface import Event
from central.store.sql import SqlStore
from central.store.write import SqlTransaction
from central.units.bounds import Bounds
from central.units.leads import open_lead_case
from contract.clock import Clock
from contract.words import FeedKind

SHOWN_REFUSALS = 200
HOUR_US = 3_600_000_000
_NAME = re.compile(r"[a-z][a-z0-9-]{1,39}")


COLUMNS: Mapping[FeedKind, tuple[str, ...]] = {
    FeedKind.NUMBERS: ("number",),
    FeedKind.SIGHTINGS: ("number", "seen_at"),
    FeedKind.LEADS: ("numbers", "area", "lat", "lon", "radius_m", "note"),
    FeedKind.INDICATORS: ("name", "period", "value"),
}


class UnitKind(StrEnum):
    """What a unit is."""

    OPERATOR = "operator"
    BANK = "bank"
    POLICE = "police"
    REGULATOR = "regulator"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A member of the centre. ``is_silent``: it has sent nothing for longer than it should."""

    unit: str
    zh: str
    en: str
    kind: str
    feed_every_h: int
    last_at: int | None
    is_silent: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What became of a feed: the unit gets it, and it stays."""

    id: int
    unit: str
    kind: str
    name: str
    sha256: str
    taken: int
    refused: int
    refusals: Sequence[Sequence[Any]]
    received_by: str
    received_at: int


class _RowError(ValueError):
    """A row that is not taken; the text says why."""


OpenLead = Callable[[SqlTransaction, int, Actor, Mapping[str, str]], Sequence[Event]]
"""Opens a lead case from a checked row, in the transaction of its feed: transaction, now, actor,
row. Raises ValueError or PermissionError, and then wrote nothing; returns what pages are told."""


class FeedDesk:
    """Units and their feeds. Thread-safe: all state is in the store."""

    def __init__(
        self,
        store: SqlStore,
        clock: Clock,
        open_lead: OpenLead = open_lead_case,
        on_events: Callable[[Sequence[Event]], None] = lambda events: None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._open_lead = open_lead
        self._on_events = on_events

    # -- units -------------------------------------------------------------------------------------

    def add_unit(
        self, actor: Actor, unit: str, zh: str, en: str, kind: UnitKind, feed_every_h: int
    ) -> None:
        """Add a member unit, or change its names; raises RuleError."""
        if not _NAME.fullmatch(unit) or not zh.strip() or not en.strip():
            raise RuleError("a unit has a short name of a-z, 0-9 and -, and both its names")
        now = int(self._clock.wall())
        values = {
            "zh": zh.strip(), "en": en.strip(), "kind": kind.value,
            "feed_every_h": feed_every_h, "added_by": actor.name, "added_at": now,
        }  # fmt: skip
        with self._store.transaction() as tx:
            connection, c = sql_of(tx)._connection, t.member_units.c
            if connection.execute(t.member_units.update().where(c.unit == unit), values).rowcount:
                pass
            else:
                connection.execute(t.member_units.insert(), {"unit": unit, **values})
            record(tx, now, actor, "unit.add", unit)

    def units(self, own: str | None = None) -> list[Unit]:
        """Units, those that are silent first; with ``own`` that one alone."""
        now = int(self._clock.wall())
        last = (
            sa.select(t.feeds.c.unit, sa.func.max(t.feeds.c.received_at).label("last_at"))
            .group_by(t.feeds.c.unit)
            .subquery()
        )
        u = t.member_units
        query = sa.select(u, last.c.last_at).outerjoin(last, last.c.unit == u.c.unit)
        if own is not None:
            query = query.where(u.c.unit == own)
        with self._store.reading() as connection:
            rows = connection.execute(query.order_by(u.c.unit)).all()
        found = [
            Unit(
                unit=row.unit, zh=row.zh, en=row.en, kind=row.kind,
                feed_every_h=row.feed_every_h, last_at=row.last_at,
                is_silent=row.feed_every_h > 0
                and now - (row.last_at or row.added_at) > row.feed_every_h * HOUR_US,
            )
            for row in rows
        ]  # fmt: skip
        return sorted(found, key=lambda one: (not one.is_silent, one.unit))

    def receipts(self, limit: int, own: str | None = None) -> list[Receipt]:
        """Newest receipts; with ``own`` of that unit alone."""
        query = sa.select(t.feeds).order_by(t.feeds.c.id.desc()).limit(limit)
        if own is not None:
            query = query.where(t.feeds.c.unit == own)
        with self._store.reading() as connection:
            return [Receipt(**row._mapping) for row in connection.execute(query)]

    def indicators(self, limit: int, own: str | None = None) -> list[Mapping[str, Any]]:
        """Figures as units sent them, newest period first; with ``own`` of that unit alone."""
        i = t.indicators
        query = (
            sa.select(i, t.feeds.c.received_at)
            .join(t.feeds, t.feeds.c.id == i.c.feed_id)
            .order_by(i.c.period.desc(), i.c.unit, i.c.name)
            .limit(limit)
        )
        if own is not None:
            query = query.where(i.c.unit == own)
        with self._store.reading() as connection:
            return [dict(row._mapping) for row in connection.execute(query)]

    # -- feeds -------------------------------------------------------------------------------------

    def take(self, actor: Actor, unit: str, kind: FeedKind, name: str, text: str) -> Receipt:
        """Take a CSV of a unit; the rest is taken where a row is refused.

        Raises UnknownError, and OtherUnitError where somebody acts for another unit or for none.
        """
        Bounds(self._store, self._clock).unit(actor, Permission.UNITS_FEED, unit)
        with self._store.transaction() as tx:
            work = FeedWork(sql_of(tx), int(self._clock.wall()), self._open_lead)
            receipt = work.take(actor, unit, kind, name, text)
        if work.events:
            self._on_events(work.events)
        return receipt


class FeedWork:
    """Takes a feed inside a transaction: all of it, its cases too, or nothing after a crash."""

    def __init__(self, tx: SqlTransaction, now: int, open_lead: OpenLead) -> None:
        self._tx = tx
        self._now = now
        self._open_lead = open_lead
        self.events: list[Event] = []
        """What pages are told after the commit."""

    def take(
        self,
        actor: Actor,
        unit: str,
        kind: FeedKind,
        name: str,
        text: str,
        *,
        lines_before: int = 0,
    ) -> Receipt:
        """Take a CSV; ``lines_before``: lines of the unit's file left out after the header."""
        connection = self._tx._connection
        known = sa.select(t.member_units.c.unit).where(t.member_units.c.unit == unit)
        if connection.execute(known).one_or_none() is None:
            raise UnknownError(f"{unit[:40]!r} is no member unit")
        row: dict[str, Any] = {
            "unit": unit, "kind": kind.value, "name": _line(name),
            "sha256": hashlib.sha256(text.encode()).hexdigest(),
            "taken": 0, "refused": 0, "refusals": [], "received_by": actor.name,
            "received_at": self._now,
        }  # fmt: skip
        made = connection.execute(t.feeds.insert(), row)
        feed_id = int(made.inserted_primary_key[0])  # type: ignore[index]
        taken, refused = 0, []
        for line, cells, problem in _rows(text, COLUMNS[kind]):
            try:
                if problem:
                    raise _RowError(problem)
                self._keep(actor, feed_id, unit, kind, line, cells)
                taken += 1
            except (ValueError, PermissionError) as error:
                refused.append([line + (lines_before if line > 1 else 0), str(error)])
        counts = {"taken": taken, "refused": len(refused), "refusals": refused[:SHOWN_REFUSALS]}
        connection.execute(t.feeds.update().where(t.feeds.c.id == feed_id).values(**counts))
        detail = {"unit": unit, "kind": kind.value, "taken": taken, "refused": len(refused)}
        record(self._tx, self._now, actor, "feed.take", str(feed_id), detail=detail)
        return Receipt(**{**row, **counts, "id": feed_id})

    def _keep(
        self,
        actor: Actor,
        feed_id: int,
        unit: str,
        kind: FeedKind,
        line: int,
        cells: dict[str, str],
    ) -> None:
        if not all(cell.isprintable() for cell in cells.values()):
            raise _RowError("a cell holds a character that cannot be printed")
        if kind is FeedKind.LEADS:
            lead = {**_lead(cells), "unit": unit}
            self.events += self._open_lead(self._tx, self._now, actor, lead)
        else:
            _KEEP[kind](self._tx._connection, feed_id, unit, line, cells, self._now)


def _line(text: str) -> str:
    """Return a name as one line of bearable length."""
    return "".join(c if c.isprintable() else " " for c in text)[:200]


def _rows(text: str, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str], str]]:
    """Lines of a CSV with a header: number, cells by column, and why it is none."""
    rows, header = csv.reader(text.splitlines()), None
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield rows.line_num, {}, f"no CSV: {error}"
            continue
        cells = [cell.strip() for cell in row]
        if not any(cells):
            continue
        if header is None:
            header = [cell.lower().lstrip("\ufeff") for cell in cells]
            if not {columns[0]} <= set(header) <= set(columns):
                yield rows.line_num, {}, f"the header is {','.join(columns)}"
                return
            continue
        if len(cells) > len(header):
            yield rows.line_num, {}, f"{len(cells)} cells under {len(header)} columns"
            continue
        yield rows.line_num, dict(zip(header, cells, strict=False)), ""


def _keep_number(
    connection: sa.Connection, feed_id: int, unit: str, line: int, cells: dict[str, str], now: int
) -> None:
    number = normalise(cells.get("number", ""))
    known = sa.select(t.numbers.c.number).where(t.numbers.c.number == number)
    if connection.execute(known).one_or_none() is None:
        row = {"number": number, "state": "candidate", "reason": ""}
        connection.execute(t.numbers.insert(), row)
    source = {"number": number, "feed_id": feed_id, "line": line}
    connection.execute(t.number_sources.insert(), source)


def _keep_sighting(
    connection: sa.Connection, feed_id: int, unit: str, line: int, cells: dict[str, str], now: int
) -> None:
    number = normalise(cells.get("number", ""))
    try:
        moment = dt.datetime.fromisoformat(cells.get("seen_at", ""))
        at = micros(moment)
    except (ValueError, TypeError, OverflowError):
        raise _RowError("seen_at is a time with its zone, 2026-11-25T10:00:00+08:00") from None
    if at > now:
        raise _RowError("seen_at is still to come")
    n = t.numbers
    row = connection.execute(sa.select(n.c.seen_at).where(n.c.number == number)).one_or_none()
    if row is None:
        raise _RowError("this number is not in the store")
    if row.seen_at is None or row.seen_at < at:
        connection.execute(n.update().where(n.c.number == number).values(seen_at=at))


def _keep_indicator(
    connection: sa.Connection, feed_id: int, unit: str, line: int, cells: dict[str, str], now: int
) -> None:
    name, period, value = (cells.get(key, "") for key in ("name", "period", "value"))
    if not 0 < len(name) <= 80 or not 0 < len(value) <= 80:
        raise _RowError("a figure has a name and a value of 1 to 80 characters")
    if not re.fullmatch(r"[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?", period):
        raise _RowError("period is YYYY, YYYY-MM or YYYY-MM-DD")
    i = t.indicators
    same = sa.and_(i.c.unit == unit, i.c.name == name, i.c.period == period)
    connection.execute(i.delete().where(same))
    row = {"unit": unit, "name": name, "period": period, "value": value, "feed_id": feed_id}
    connection.execute(i.insert(), row)


_KEEP = {
    FeedKind.NUMBERS: _keep_number,
    FeedKind.SIGHTINGS: _keep_sighting,
    FeedKind.INDICATORS: _keep_indicator,
}


def _lead(cells: dict[str, str]) -> Mapping[str, str]:
    try:
        count, radius = int(cells["numbers"]), float(cells["radius_m"])
        lat, lon = float(cells["lat"]), float(cells["lon"])
    except (KeyError, ValueError):
        raise _RowError("numbers, lat, lon and radius_m are figures") from None
    if not re.fullmatch(r"[0-9]{6}", cells.get("area", "")):
        raise _RowError("area is a division code of six digits")
    is_place = -90 <= lat <= 90 and -180 <= lon <= 180 and 0 < radius <= 50_000
    if count < 1 or not is_place:
        raise _RowError("so many numbers, at a place in WGS-84 degrees, within a radius of 50 km")
    return {**cells, "note": cells.get("note", "")[:200]}
