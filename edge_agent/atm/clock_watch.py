"""Whether the clock may be trusted with cash: disciplined, or bounded by the central's signed time.

A wall clock that jumps against the monotonic one is not trusted until a signed hint of the central
agrees with it again (law 2: no trusted time, no cash).
"""

from __future__ import annotations

from contract.clock import Clock
from edge_agent.central_time import CentralTime

MAX_JUMP_US = 5_000_000


class ClockWatch:
    """Asked before each withdrawal; one thread at a time."""

    def __init__(self, clock: Clock, time: CentralTime) -> None:
        self._clock = clock
        self._time = time
        self._base = self._offset()

    def is_trusted(self) -> bool:
        """Whether the time is known well enough for cash."""
        bounds = self._time.bounds()
        is_confirmed = bounds is not None and self._time.skew_s() == 0.0
        if is_confirmed:
            self._base = self._offset()
        if bounds is not None and not is_confirmed:
            return False
        if abs(self._offset() - self._base) > MAX_JUMP_US:
            return False
        return is_confirmed or self._clock.quality().is_synced

    def _offset(self) -> int:
        return self._clock.wall() - self._clock.mono()
