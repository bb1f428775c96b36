"""Who adds to the allow-lists and takes from them, with a name and a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from central.actor import Actor
from central.alert_work import (
    NotCoveredError,
    UnknownError,
    check_note,
    sql_of,
)
from central.allow import Allowance, check_match
from central.audit import record
from central.store import triage
from central.store.sql import SqlStore
from contract.clock import Clock


class AllowDesk:
    """Changes the allow-lists. Thread-safe: all state is in the store."""

    def __init__(self, store: SqlStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def allow(self, actor: Actor, allowance: Allowance) -> int:
        """Add an allowance in the actor's name; raises AllowanceError or NotCoveredError."""
        if not actor.covers(allowance.area):
            raise NotCoveredError(f"the area {allowance.area} is not one of yours")
        check_match(allowance.kind, allowance.match)
        now = int(self._clock.wall())
        row = replace(allowance, added_by=actor.name, added_at=now, note=check_note(allowance.note))
        with self._store.transaction() as tx:
            made = triage.add_allowance(sql_of(tx)._connection, row)
            detail = {"kind": row.kind.value, "match": dict(row.match), "area": row.area}
            record(tx, now, actor, "allowance.add", str(made), detail=detail)
        return made

    def allow_many(self, actor: Actor, rows: Sequence[Allowance]) -> int:
        """Add a whole import, or nothing of it; returns the time that is its name."""
        now = int(self._clock.wall())
        for row in rows:
            if not actor.covers(row.area):
                raise NotCoveredError(f"the area {row.area} is not one of yours")
            check_match(row.kind, row.match)
        with self._store.transaction() as tx:
            connection = sql_of(tx)._connection
            made = [
                triage.add_allowance(
                    connection,
                    replace(row, added_by=actor.name, added_at=now, note=check_note(row.note)),
                )
                for row in rows
            ]
            detail = {
                "rows": len(made),
                "first": min(made, default=0),
                "last": max(made, default=0),
            }
            record(tx, now, actor, "allowance.import", str(now), detail=detail)
        return now

    def undo_import(self, actor: Actor, at: int) -> int:
        """Take back one's own import, as far as it is still in force; returns how many rows."""
        now = int(self._clock.wall())
        with self._store.transaction() as tx:
            mine = [a for a in tx.allowances() if (a.added_by, a.added_at) == (actor.name, at)]
            if not mine:
                raise UnknownError("no import of yours of that moment is in force")
            for row in mine:
                triage.remove_allowance(sql_of(tx)._connection, row.id, actor.name, now)
            detail = {"rows": len(mine)}
            record(tx, now, actor, "allowance.undo_import", str(at), detail=detail)
        return len(mine)

    def disallow(self, actor: Actor, allowance_id: int) -> None:
        """Take an allowance back; raises UnknownError or NotCoveredError."""
        now = int(self._clock.wall())
        with self._store.transaction() as tx:
            known = next((a for a in tx.allowances() if a.id == allowance_id), None)
            if known is None:
                raise UnknownError(f"no allowance {allowance_id} is in force")
            if not actor.covers(known.area):
                raise NotCoveredError(f"the area {known.area} is not one of yours")
            triage.remove_allowance(sql_of(tx)._connection, allowance_id, actor.name, now)
            record(tx, now, actor, "allowance.remove", str(allowance_id))
