"""For which member unit a person acts: a unit's liaison for that one alone.

What somebody may do because of a role of the centre holds for every unit. What a role of a unit
alone gives (bank, carrier, regulator) holds for the one unit to which an administrator has bound
the person, and for none as long as nobody has.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NoReturn

import sqlalchemy as sa

from central.actor import UNIT_ROLES, Actor
from central.audit import REFUSED, record
from central.people.permissions import Permission, may
from central.store import unit_tables as t
from central.store.sql import SqlStore
from contract.clock import Clock


class OtherUnitError(PermissionError):
    """It belongs to another member unit, or the person is bound to none."""


UNBOUND = "nobody has bound you to a member unit: an administrator does so on the page People"
OTHER = "this belongs to another member unit than yours"


def unit_of(actor: Actor, permission: Permission) -> str | None:
    """Return the one unit for which somebody may do it; None: for every unit.

    Raises OtherUnitError where a unit's role alone gives the permission and there is no unit.
    """
    if actor.unit:
        return actor.unit
    if may(replace(actor, roles=actor.roles - UNIT_ROLES), permission):
        return None
    raise OtherUnitError(UNBOUND)


class Bounds:
    """What of units one person reaches; each refusal is in the audit log before it is raised."""

    def __init__(self, store: SqlStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def unit(self, actor: Actor, permission: Permission, wanted: str | None = None) -> str | None:
        """Return the person's one unit, None for every; raises OtherUnitError for another."""
        try:
            own = unit_of(actor, permission)
        except OtherUnitError as error:
            self.refuse(actor, permission, wanted or "", str(error))
        if own is not None and wanted is not None and wanted != own:
            self.refuse(actor, permission, wanted, OTHER)
        return own

    def refuse(self, actor: Actor, permission: Permission, subject: str, why: str) -> NoReturn:
        """Write the refusal down and raise it."""
        detail = {"permission": permission.value, "unit": actor.unit, "why": why}
        with self._store.transaction() as tx:
            now = int(self._clock.wall())
            record(tx, now, actor, "unit.refused", subject[:80], outcome=REFUSED, detail=detail)
        raise OtherUnitError(why)

    def carriers(self, actor: Actor, permission: Permission) -> frozenset[str] | None:
        """Names under which blocks may be the person's carrier's; None: those of all carriers."""
        own = self.unit(actor, permission)
        if own is None:
            return None
        u = t.member_units.c
        with self._store.reading() as connection:
            row = connection.execute(sa.select(u.unit, u.zh, u.en).where(u.unit == own)).one()
        return frozenset(row)
