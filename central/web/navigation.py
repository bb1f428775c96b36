"""The pages of the navigation, in the order in which people look for them."""

from __future__ import annotations

from collections.abc import Iterable
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


@dataclass(frozen=True, slots=True)
class Group:
    """Pages under one heading (``group.NAME``); those of the watch stand open beside each other."""

    name: str
    entries: tuple[Entry, ...]

    @property
    def is_menu(self) -> bool:
        """Whether the pages hide behind the heading: not the watch's, nor a single one."""
        return self.name != WATCH and len(self.entries) > 1

    def is_at(self, path: str) -> bool:
        """Whether a path is one of these pages or below one."""
        return any(entry.is_at(path) for entry in self.entries)


WATCH = "watch"
GROUPS = (
    Group(
        WATCH,
        (
            Entry("/", "desk", Permission.ALERTS_READ),
            Entry("/overview", "overview", Permission.OVERVIEW_READ),
            Entry("/alerts", "alerts", Permission.ALERTS_READ),
            Entry("/map", "map", Permission.MAP_READ),
        ),
    ),
    Group(
        "casework",
        (
            Entry("/cases", "cases", Permission.CASES_READ),
            Entry("/intake", "intake", Permission.CASES_READ),
            Entry("/clocks", "clocks", Permission.CASES_READ),
            Entry("/dispatch", "dispatch", Permission.DISPATCH_READ),
            Entry("/inquiries", "inquiries", Permission.CASES_ANSWER),
            Entry("/tips", "tips", Permission.CASES_READ),
            Entry("/refunds", "refunds", Permission.CASES_READ),
        ),
    ),
    Group(
        "atms",
        (
            Entry("/orders", "orders", Permission.ORDERS_READ),
            Entry("/lists", "lists", Permission.LISTS_READ),
            Entry("/officers", "officers", Permission.OFFICERS_READ),
            Entry("/keys", "keys", Permission.KEYS_READ),
        ),
    ),
    Group(
        "prevention",
        (
            Entry("/numbers", "numbers", Permission.NUMBERS_READ),
            Entry("/outreach", "outreach", Permission.OUTREACH_READ),
            Entry("/units", "units", Permission.UNITS_READ),
            Entry("/statistics", "statistics", Permission.STATISTICS_READ),
        ),
    ),
    Group(
        "system",
        (
            Entry("/devices", "devices", Permission.DEVICES_READ),
            Entry("/allow", "allow", Permission.ALERTS_READ),
            Entry("/people", "people", Permission.PEOPLE_READ),
            Entry("/audit", "audit", Permission.AUDIT_READ),
            Entry("/settings", "settings", Permission.SETTINGS_READ),
        ),
    ),
)
ENTRIES = tuple(entry for group in GROUPS for entry in group.entries)


def grouped(shown: Iterable[Entry]) -> list[Group]:
    """Return the groups that hold some of these pages, with those alone."""
    known = frozenset(shown)
    found = (Group(g.name, tuple(e for e in g.entries if e in known)) for g in GROUPS)
    return [group for group in found if group.entries]
