"""How fast a backlog is replayed: a token bucket whose rate follows what the way can carry.

Hundreds of stations that return at once would bury what happens now under what happened yesterday.
So each begins slowly and listens to its receipts: while they come soon after sending, the rate
doubles; when they come late, somebody's messages are queueing, and it halves. (The idea is that of
LEDBAT, RFC 6817: yield to others by delay, before anything is lost.) Pure: a clock, no link.
"""

from __future__ import annotations

from dataclasses import dataclass

from contract.clock import Clock

SOON_S = 0.4
"""A receipt this soon after sending says that nothing queues on the way."""
LATE_S = 1.0
"""A receipt this late says that something does; live messages are to arrive within 2 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayLimits:
    """Knobs of the replay."""

    start_per_s: float = 20.0
    min_per_s: float = 2.0
    max_per_s: float = 1000.0


class ReplayPace:
    """Tokens for backlog rows. Live messages need none."""

    def __init__(self, clock: Clock, limits: ReplayLimits | None = None) -> None:
        self._clock = clock
        self._limits = limits or ReplayLimits()
        self.restart()

    def restart(self) -> None:
        """Begin slowly again: a new connection, or the central is back."""
        self.per_s = min(self._limits.start_per_s, self._limits.max_per_s)
        self._tokens = 1.0
        self._filled_us = int(self._clock.mono())

    def heard(self, delay_s: float) -> None:
        """A receipt came ``delay_s`` after the message sent last that it covers."""
        self._refill()
        if delay_s <= SOON_S:
            self.per_s = min(self._limits.max_per_s, self.per_s * 2)
        elif delay_s > LATE_S:
            self.per_s = max(self._limits.min_per_s, self.per_s / 2)

    def available(self) -> int:
        """Rows that may be sent now."""
        self._refill()
        return int(self._tokens)

    def take(self, rows: int) -> None:
        """Some were sent."""
        self._tokens -= rows

    def next_s(self) -> float:
        """Seconds until the next row may be sent."""
        self._refill()
        return max(0.0, (1.0 - self._tokens) / self.per_s)

    def _refill(self) -> None:
        """At most a quarter of a second's worth is saved up, so that no burst follows a rest."""
        now = int(self._clock.mono())
        saved = self._tokens + (now - self._filled_us) / 1e6 * self.per_s
        self._tokens = min(saved, max(1.0, self.per_s / 4))
        self._filled_us = now
