"""The pages of the navigation, in the order in which people look for them."""

from __future__ import annotations

from dataclasses import dataclass

from central.people.permissions import Permission


@dataclass(frozen=True, slots=True)
class Entry:
    """One page; ``name`` is its word in the catalogues (``page.NAME``)."""

    path: str
    name: str
    permission: Permission

    def is_at(self, path: str) -> bool:
        """Whether a path is this page or one below it."""
        if self.path == "/":
            return path == "/"
        return path == self.path or path.startswith(f"{self.path}/")


ENTRIES = (
    Entry("/", "desk", Permission.ALERTS_READ),
    Entry("/overview", "overview", Permission.OVERVIEW_READ),
    Entry("/alerts", "alerts", Permission.ALERTS_READ),
    Entry("/map", "map", Permission.MAP_READ),
    Entry("/intake", "intake", Permission.CASES_READ),
    Entry("/cases", "cases", Permission.CASES_READ),
    Entry("/clocks", "clocks", Permission.CASES_READ),
    Entry("/inquiries", "inquiries", Permission.CASES_ANSWER),
    Entry("/dispatch", "dispatch", Permission.DISPATCH_READ),
    Entry("/orders", "orders", Permission.ORDERS_READ),
    Entry("/lists", "lists", Permission.LISTS_READ),
    Entry("/refunds", "refunds", Permission.CASES_READ),
    Entry("/numbers", "numbers", Permission.NUMBERS_READ),
    Entry("/outreach", "outreach", Permission.OUTREACH_READ),
    Entry("/units", "units", Permission.UNITS_READ),
    Entry("/statistics", "statistics", Permission.STATISTICS_READ),
    Entry("/devices", "devices", Permission.DEVICES_READ),
    Entry("/officers", "officers", Permission.OFFICERS_READ),
    Entry("/people", "people", Permission.PEOPLE_READ),
    Entry("/audit", "audit", Permission.AUDIT_READ),
    Entry("/keys", "keys", Permission.KEYS_READ),
    Entry("/settings", "settings", Permission.SETTINGS_READ),
)
