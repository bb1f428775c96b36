"""How fast a backlog may go: a token bucket whose rate follows what the receipts tell. Pure.

Two hundred stations that return at once must not bury each other's live messages in the broker's
queues, and none of them knows of the others. What each one sees is how old the youngest row was
that a receipt covers: nearly nothing while the central keeps up, and the length of the queue when
it does not. The rate doubles until that delay shows, then gives way quickly and recovers slowly.
"""

from __future__ import annotations

from dataclasses import dataclass

from contract.clock import Clock, MonoMicros, SystemClock


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Limits of a replay."""

    first_rows: int = 10
    """Rows after each connection before the first receipt. Hundreds that come back together would
    otherwise fill the broker's queue before anyone of them can see its length."""
    first_per_s: float = 2.0
    """Rows a second from then on, until receipts say more."""
    least_per_s: float = 0.2
    most_per_s: float = 2000.0
    burst_s: float = 0.25
    """Rows of so many seconds may go at once."""
    target_delay_s: float = 0.5
    """Age of the youngest receipted row above which the way is taken to be full."""
    silence_s: float = 3.0
    """Without any receipt for so long while rows are out, it is taken to be full as well."""


_HANDFUL_S = 0.05
_GROWTH = 1.15
_STEP_PER_S = 0.5
"""Two hundred stations take such a step at the same time."""
_CUT = 0.6


class Pacer:
    """Tokens for rows of the backlog."""

    def __init__(self, pace: Pace | None = None, clock: Clock | None = None) -> None:
        self._pace = pace or Pace()
        self._clock = clock or SystemClock()
        self.reset()

    def reset(self) -> None:
        """A new connection: nothing is known of the way."""
        self.rate_per_s = self._pace.first_per_s
        self._is_probing = True
        self._tokens = 1.0
        self._filled: MonoMicros = self._clock.mono()
        self._heard: MonoMicros = self._filled
        self._rows_left: int | None = self._pace.first_rows

    def take(self) -> bool:
        """Take a token for one row; False if there is none."""
        if self.available == 0:
            return False
        self._tokens -= 1.0
        if self._rows_left is not None:
            self._rows_left -= 1
        return True

    @property
    def available(self) -> int:
        """Rows that may go now."""
        self._fill()
        tokens = int(self._tokens)
        return tokens if self._rows_left is None else min(tokens, self._rows_left)

    def wait_s(self) -> float | None:
        """Seconds until it is worth looking again: rows go by the handful, not one by one.

        None where only a receipt brings more.
        """
        self._fill()
        if self._rows_left == 0:
            return None
        wanted = max(1.0, self.rate_per_s * _HANDFUL_S)
        return max(0.0, (wanted - self._tokens) / self.rate_per_s)

    def heard(self, delay_s: float | None) -> None:
        """A receipt came; ``delay_s`` is the age of the youngest row it covered, None: unknown."""
        self._fill()
        self._heard = self._clock.mono()
        self._rows_left = None
        if delay_s is None:
            return
        if delay_s > self._pace.target_delay_s:
            self._give_way()
        elif self._is_probing:
            self._set(self.rate_per_s * 2.0)
        else:
            self._set(self.rate_per_s * _GROWTH + _STEP_PER_S)

    def check_silence(self, *, is_waiting: bool) -> None:
        """Give way if receipts are awaited and none comes."""
        now = self._clock.mono()
        if not is_waiting:
            self._heard = now
        elif now - self._heard > self._pace.silence_s * 1e6:
            self._heard = now
            self._fill()
            self._give_way()
            if self._rows_left is not None:
                self._rows_left = max(self._rows_left, 1)  # what went may be lost: ask again

    def _give_way(self) -> None:
        self._is_probing = False
        self._set(self.rate_per_s * _CUT)

    def _set(self, rate_per_s: float) -> None:
        self.rate_per_s = min(self._pace.most_per_s, max(self._pace.least_per_s, rate_per_s))

    def _fill(self) -> None:
        now = self._clock.mono()
        most = max(1.0, self.rate_per_s * self._pace.burst_s)
        self._tokens = min(most, self._tokens + self.rate_per_s * (now - self._filled) / 1e6)
        self._filled = now
