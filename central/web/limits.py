"""How often one address may try: token buckets in memory, bounded in number."""

from __future__ import annotations

import threading
from collections import OrderedDict

from contract.clock import Clock

_KEPT = 10_000


class Limiter:
    """Lets ``burst`` tries through at once and ``per_minute`` in the long run, for each key."""

    def __init__(self, clock: Clock, burst: int, per_minute: float) -> None:
        self._clock = clock
        self._burst = burst
        self._per_us = per_minute / 60_000_000
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def wait_s(self, key: str) -> int:
        """Take one try: 0, or the seconds to wait until the next is let through."""
        now = self._clock.mono()
        with self._lock:
            left, at = self._buckets.pop(key, (float(self._burst), now))
            left = min(self._burst, left + (now - at) * self._per_us)
            is_free = left >= 1
            self._buckets[key] = (left - 1 if is_free else left, now)
            while len(self._buckets) > _KEPT:
                self._buckets.popitem(last=False)
        return 0 if is_free else int((1 - left) / self._per_us / 1_000_000) + 1
