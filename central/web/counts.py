"""How many alerts are open, for the tiles of the duty desk: counted once a second for everybody."""

from __future__ import annotations

import threading

from central.alert_states import OPEN
from central.store.sql import SqlStore
from contract.clock import Clock
from contract.words import Severity

MOST_SHOWN = 999
"""A tile has room for three digits; what is more is read from the list."""
_HOLDS_US = 1_000_000


class OpenCounts:
    """Counts by severity, technical alerts too. Thread-safe; two hundred pages ask as one."""

    def __init__(self, store: SqlStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._found: dict[frozenset[str], tuple[int, dict[str, str]]] = {}

    def of(self, areas: frozenset[str]) -> dict[str, str]:
        """Return the counts of some areas as the tiles show them."""
        with self._lock:
            now = int(self._clock.mono())
            at, counts = self._found.get(areas, (now - _HOLDS_US, {}))
            if now - at >= _HOLDS_US:
                counts = self._count(areas)
                self._found[areas] = now, counts
            return counts

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
