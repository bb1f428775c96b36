"""What of everything one person may see: alerts by their area, devices by where they stand.

A device that names no area stands in the central's own. Whoever keeps the devices themselves
(administrator, auditor) sees all of them, and no more of what they report.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from central.actor import Actor, Role
from central.people.desk import WHOLE_COUNTRY
from central.store.interface import AlertRow, Device, Event, EventKind
from central.store.sql import SqlStore
from central.store.triage import AlertStand

_KEEPERS = (Role.ADMINISTRATOR, Role.AUDITOR)


def covers_alert(actor: Actor, row: AlertRow | AlertStand) -> bool:
    """Whether an alert lies in one of the person's areas; one without an area is the country's."""
    return actor.covers(row.area)


@dataclass(slots=True)
class Reach:
    """One person's sight, with the areas of the devices it has met."""

    actor: Actor
    own_area: str
    """The central's."""
    _areas: dict[str, str] = field(default_factory=dict)

    @property
    def is_whole(self) -> bool:
        """Whether there is nothing that it does not cover."""
        return WHOLE_COUNTRY in self.actor.areas

    @property
    def covers_own(self) -> bool:
        """Whether the devices that name no area are covered."""
        return self.actor.covers(self.own_area)

    def covers_device(self, row: Device) -> bool:
        """Whether a device may be seen."""
        return self.actor.has(*_KEEPERS) or self.actor.covers(row.area or self.own_area)

    def covers_event(self, event: Event, store: SqlStore) -> bool:
        """Whether an event of the stream may be told."""
        if self.is_whole:
            return True
        if event.kind is EventKind.ALERT:
            return self.actor.covers(event.data["alert"].get("area", ""))
        if event.kind is EventKind.NOTICE:
            return self.actor.covers(event.data["notice"]["area"])
        if event.kind is EventKind.ORDER:
            return self.actor.covers(event.data["area"])
        return self.actor.covers(self._area_of(event, store) or self.own_area)

    def _area_of(self, event: Event, store: SqlStore) -> str:
        """Area of the device that an event is about; a device's own event renews what is known."""
        if event.kind is EventKind.DEVICE:
            device = event.data["device"]["device"]
            self._areas.pop(device, None)
        elif event.kind is EventKind.DECISION:
            device = event.data["decision"]["device"]
        else:
            device = event.data["device"]
        if device not in self._areas:
            row = store.device(device) if device else None
            self._areas[device] = "" if row is None else row.area
        return self._areas[device]
