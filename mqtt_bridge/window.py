"""Which messages are on their way, and when to send one again. Pure: rows and a clock, no link."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from random import SystemRandom

from contract.clock import Clock, SystemClock
from mqtt_bridge.ports import OutboxRow

_JITTER = 0.5
_MAX_DOUBLINGS = 16


@dataclass(slots=True)
class _Flight:
    row: OutboxRow
    tries: int
    sent_us: int
    due_us: int


class Window:
    """Rows that were published and that no receipt covers yet, at most ``size``.

    A row is due again ``min_s`` after it was sent, then after twice that and so on up to ``max_s``,
    each time with up to half as much again of jitter (but never more than ``max_s``).
    """

    def __init__(
        self,
        size: int,
        *,
        min_s: float,
        max_s: float,
        clock: Clock | None = None,
        random: Callable[[], float] | None = None,
    ) -> None:
        self.size = size
        self._min_s = min_s
        self._max_s = max_s
        self._clock = clock or SystemClock()
        self._random = random or SystemRandom().random
        self._flights: dict[int, _Flight] = {}

    def __len__(self) -> int:
        return len(self._flights)

    def __contains__(self, seq: int) -> bool:
        return seq in self._flights

    @property
    def is_full(self) -> bool:
        """Whether no further row may be sent before a receipt comes."""
        return len(self._flights) >= self.size

    def clear(self) -> None:
        """Forget everything: a new connection begins with the oldest row."""
        self._flights.clear()

    def keep_only(self, seqs: Iterable[int]) -> None:
        """Forget the rows that the outbox no longer holds."""
        held = set(seqs)
        self._flights = {seq: f for seq, f in self._flights.items() if seq in held}

    def sent(self, row: OutboxRow) -> None:
        """A row was handed to the broker, for the first time or again."""
        former = self._flights.get(row.seq)
        tries = former.tries + 1 if former else 1
        wait_s = self._min_s * 2.0 ** min(tries - 1, _MAX_DOUBLINGS)
        wait_s = min(self._max_s, wait_s * (1 + _JITTER * self._random()))
        now = self._clock.mono()
        self._flights[row.seq] = _Flight(row, tries, now, now + round(wait_s * 1e6))

    def due(self) -> Sequence[OutboxRow]:
        """Rows to send again now, oldest first.

        If one is due, the rows after it go again as well (unless they were sent just now), so that
        what arrives stays in order.
        """
        now = self._clock.mono()
        flights = sorted(self._flights.values(), key=lambda f: f.row.seq)
        first = next((i for i, f in enumerate(flights) if f.due_us <= now), None)
        if first is None:
            return []
        settled_us = now - round(self._min_s * 1e6)
        return [f.row for f in flights[first:] if f.due_us <= now or f.sent_us <= settled_us]

    def next_due_s(self) -> float | None:
        """Seconds until the first row is due again (0 if one is), None while nothing is out."""
        if not self._flights:
            return None
        due_us = min(f.due_us for f in self._flights.values())
        return max(0.0, (due_us - self._clock.mono()) / 1e6)
