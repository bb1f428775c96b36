"""What many pages ask of all alerts at once: how many are open, and who is called for those that
nobody has acknowledged. Each is looked up once a second for everybody who covers the same areas."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from central.actor import Actor
from central.alert_states import OPEN, called_roles
from central.store.sql import SqlStore
from contract.clock import Clock
from contract.words import Severity

MOST_SHOWN = 999
"""A tile has room for three digits; what is more is read from the list."""
_HOLDS_US = 1_000_000


_Found = TypeVar("_Found")


class _Kept(Generic[_Found]):
    """What was found for each set of areas, for a second. Thread-safe; two hundred ask as one."""

    def __init__(self, clock: Clock, find: Callable[[frozenset[str]], _Found]) -> None:
        self._clock = clock
        self._find = find
        self._lock = threading.Lock()
        self._kept: dict[frozenset[str], tuple[int, _Found]] = {}
        """Until when it holds, and what was found."""

    def of(self, areas: frozenset[str]) -> _Found:
        """Return what is true of some areas, now or a second ago."""
        with self._lock:
            began = int(self._clock.mono())
            known = self._kept.get(areas)
            if known is None or began >= known[0]:
                found = self._find(areas)
                ended = int(self._clock.mono())
                # A store that takes seconds to count is not asked by each of two hundred in turn.
                known = self._kept[areas] = ended + max(_HOLDS_US, ended - began), found
            return known[1]


@dataclass(frozen=True, slots=True)
class Called:
    """Alerts that wait for one person."""

    number: int
    oldest: int
    """The alert that waits longest."""


class Counts:
    """The counts that pages share."""

    def __init__(self, store: SqlStore, clock: Clock) -> None:
        self._store = store
        self._open = _Kept(clock, self._count)
        self._called = _Kept(clock, store.called)

    def open(self, areas: frozenset[str]) -> dict[str, str]:
        """Return how many alerts of each severity are open, technical ones too, as tiles show."""
        return self._open.of(areas)

    def called(self, actor: Actor) -> Called | None:
        """Return the alerts for which one of the person's roles was called; None: none wait."""
        waiting = [
            (number, oldest)
            for severity, steps, number, oldest in self._called.of(actor.areas)
            if called_roles(severity, steps) & actor.roles
        ]
        if not waiting:
            return None
        return Called(sum(n for n, _ in waiting), min(oldest for _, oldest in waiting))

    def _count(self, areas: frozenset[str]) -> dict[str, str]:
        counts = dict.fromkeys(Severity, 0)
        open_states = {state.value for state in OPEN}
        for is_technical in (False, True):
            found = self._store.alert_counts(areas, is_technical=is_technical)
            for (state, severity), times in found.items():
                counts[severity] += times if state in open_states else 0
        return {
            severity.value: str(n) if n <= MOST_SHOWN else f"{MOST_SHOWN}+"
            for severity, n in counts.items()
        }
