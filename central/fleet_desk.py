"""What people say of devices: where one stands. Its alerts follow it out of no man's land."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from central.actor import Actor
from central.alert_states import OPEN, RuleError
from central.alert_work import UnknownError, sql_of
from central.audit import record
from central.store import tables as t
from central.store.interface import Event, EventKind
from central.store.sql import SqlStore
from central.views import device_json
from contract.clock import Clock

_AREA = re.compile(r"[0-9]{6}")


def place_device(
    store: SqlStore,
    clock: Clock,
    actor: Actor | str,
    device: str,
    area: str,
    *,
    own_area: str,
    on_events: Callable[[Sequence[Event]], None] = lambda events: None,
) -> int:
    """Say in which division a device stands; return how many of its open alerts moved with it.

    Only alerts that lay in the central's own area for want of a better one move: an alert of a
    device that was driven from one city to the next stays where it was heard.
    """
    area = area.strip()
    if area and not _AREA.fullmatch(area):
        raise RuleError("an area is a six-digit division code (GB/T 2260), or empty")
    now = int(clock.wall())
    with store.transaction() as tx:
        known = tx.device(device)
        if known is None:
            raise UnknownError(f"there is no device {device}")
        if known.area == area:
            return 0
        tx.update_device(device, area=area)
        moved = 0
        if area and not known.area:
            a = t.alerts.c
            changed = sql_of(tx)._connection.execute(
                t.alerts.update()
                .where(
                    a.device == device,
                    a.area.in_(["", own_area]),
                    a.state.in_([state.value for state in OPEN]),
                )
                .values(area=area)
            )
            moved = int(changed.rowcount)
        detail = {"from": known.area, "to": area, "alerts": moved}
        record(tx, now, actor, "device.area", device, detail=detail)
        placed = tx.device(device)
        assert placed is not None
        event = tx.add_event(now, EventKind.DEVICE, {"device": device_json(placed)})
    on_events([event])
    return moved
