"""Which of the tenant's keys count: a fold over the steps that people took. Append-only."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from central.store import list_tables as t


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyState:
    """Which keys count. ``bundle`` grows with each step."""

    bundle: int
    primary: int
    coming: int | None = None
    """Handed out, not in use yet."""
    former: tuple[int, ...] = ()
    """In use before, and still known."""

    @property
    def numbers(self) -> tuple[int, ...]:
        """All keys that machines hold, the one in use first."""
        coming = () if self.coming is None else (self.coming,)
        return (self.primary, *coming, *self.former)


def state_of(connection: sa.Connection) -> KeyState:
    """Fold the steps into what counts now; the first key needs no step."""
    primary, coming, former, bundle = 1, None, list[int](), 1
    for row in connection.execute(sa.select(t.tenant_key_steps).order_by(t.tenant_key_steps.c.id)):
        bundle += 1
        if row.step == "begin":
            coming = row.number
        elif row.step == "switch":
            former.append(primary)
            primary, coming = row.number, None
        else:
            former.remove(row.number)
    return KeyState(bundle=bundle, primary=primary, coming=coming, former=tuple(former))


def switched_at(connection: sa.Connection, former: int) -> int:
    """When a former key went out of use."""
    primary = 1
    for row in connection.execute(sa.select(t.tenant_key_steps).order_by(t.tenant_key_steps.c.id)):
        if row.step == "switch":
            if primary == former:
                return int(row.at)
            primary = row.number
    return 0
