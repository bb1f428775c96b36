"""The central's time as a hint with bounds: the wall clock is checked by it and never set.

A hint echoes the monotonic time of a message of this device, so the central's time in it was true
at some moment between that message and now. A hint that is old, or that somebody held back, only
has wider bounds; none can be made narrower than it is.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from contract.clock import Clock, UnixMicros

MAX_CORRECTION_US = 24 * 3600 * 1_000_000
"""Further apart than this, neither clock is believed for orders: a person has to look."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The true time now lies between these, if the central's clock is right."""

    earliest: UnixMicros
    latest: UnixMicros


class CentralTime:
    """The narrowest bounds known; methods may be called from any thread."""

    def __init__(self, clock: Clock, boot_id: bytes) -> None:
        self._clock = clock
        self._boot_id = boot_id
        self._lock = threading.Lock()
        self._offsets: tuple[int, int] | None = None  # earliest and latest wall minus monotonic

    def note(self, central_wall: int, echo_boot: bytes, echo_mono: int) -> bool:
        """Take a verified hint; False if it echoes another boot or a moment that never was."""
        now = self._clock.mono()
        if echo_boot != self._boot_id or not 0 <= echo_mono <= now:
            return False
        low, high = central_wall - now, central_wall - echo_mono
        with self._lock:
            if self._offsets is not None:
                narrowed = max(low, self._offsets[0]), min(high, self._offsets[1])
                # Bounds that exclude each other: a clock was put right since; the newer counts.
                low, high = narrowed if narrowed[0] <= narrowed[1] else (low, high)
            self._offsets = low, high
        return True

    def bounds(self) -> Bounds | None:
        """Return the bounds of the true time now; None before the first hint."""
        with self._lock:
            if self._offsets is None:
                return None
            now = self._clock.mono()
            return Bounds(UnixMicros(now + self._offsets[0]), UnixMicros(now + self._offsets[1]))

    def skew_s(self) -> float:
        """Seconds by which the wall clock surely leads (or, negative, lags); 0 within bounds."""
        bounds, wall = self.bounds(), self._clock.wall()
        if bounds is None or bounds.earliest <= wall <= bounds.latest:
            return 0.0
        nearest = bounds.latest if wall > bounds.latest else bounds.earliest
        return (wall - nearest) / 1e6

    def now(self) -> UnixMicros:
        """Time by which orders are judged: the wall clock, held within the bounds."""
        bounds, wall = self.bounds(), self._clock.wall()
        if bounds is None:
            return wall
        held = UnixMicros(min(max(wall, bounds.earliest), bounds.latest))
        return held if abs(held - wall) <= MAX_CORRECTION_US else wall
