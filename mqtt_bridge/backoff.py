"""How long to wait before trying again: full jitter, so that a fleet never knocks in step."""

from __future__ import annotations

from collections.abc import Callable
from random import SystemRandom

from contract.clock import Clock, MonoMicros, SystemClock

CAP_S = 30.0
STABLE_S = 60.0
"""A connection that lasted this long was a good one. Resetting on every CONNACK instead would let
a client that is kicked right after connecting knock once a second for ever."""

_MAX_DOUBLINGS = 16


class Backoff:
    """Uniform between 0 and ``base_s`` doubled for each failure in a row, at most ``cap_s``."""

    def __init__(
        self,
        *,
        base_s: float = 1.0,
        cap_s: float = CAP_S,
        stable_s: float = STABLE_S,
        random: Callable[[], float] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._base_s = base_s
        self._cap_s = cap_s
        self._stable_s = stable_s
        self._random = random or SystemRandom().random
        self._clock = clock or SystemClock()
        self._failures = 0
        self._opened_at: MonoMicros | None = None

    def opened(self) -> None:
        """A connection came up."""
        self._opened_at = self._clock.mono()

    def next_delay_s(self) -> float:
        """A connection was lost or never came up: seconds to wait before the next try."""
        if self._opened_at is not None:
            lasted_s = (self._clock.mono() - self._opened_at) / 1e6
            if lasted_s >= self._stable_s:
                self._failures = 0
        self._opened_at = None
        ceiling = min(self._cap_s, self._base_s * 2.0 ** min(self._failures, _MAX_DOUBLINGS))
        self._failures += 1
        return self._random() * ceiling
