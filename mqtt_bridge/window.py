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
    is_backlog: bool


@dataclass(slots=True)
class _Used:
    """What one kind of rows takes of the window."""

    rows: int = 0
    size_bytes: int = 0

    def add(self, rows: int, size_bytes: int) -> None:
        self.rows += rows
        self.size_bytes += size_bytes


class Window:
    """Rows that were published and that no receipt covers yet, bounded in number and bytes.

    A row is due again ``min_s`` after it was sent, then after twice that and so on up to ``max_s``,
    each time with up to half as much again of jitter (but never more than ``max_s``).
    """

    def __init__(
        self,
        size: int,
        *,
        size_bytes: int = 1 << 62,
        min_s: float,
        max_s: float,
        clock: Clock | None = None,
        random: Callable[[], float] | None = None,
    ) -> None:
        self.size = size
        self._size_bytes = size_bytes
        self._used = {False: _Used(), True: _Used()}
        self._min_s = min_s
        self._max_s = max_s
        self._clock = clock or SystemClock()
        self._random = random or SystemRandom().random
        self._flights: dict[int, _Flight] = {}

    def __len__(self) -> int:
        return len(self._flights)

    def __contains__(self, seq: int) -> bool:
        return seq in self._flights

    def has_room(self, row: OutboxRow, *, share: float = 1.0, is_backlog: bool = False) -> bool:
        """Whether a row fits, and its kind keeps to a share of the window. One alone always fits.

        With a share for each kind, neither backlog nor live rows can shut the other out.
        """
        if not self._flights:
            return True
        used, size_bytes = self._used[is_backlog], len(row.cose)
        return (
            len(self._flights) < self.size
            and used.rows < self.size * share
            and sum(kind.size_bytes for kind in self._used.values()) + size_bytes
            <= self._size_bytes
            and used.size_bytes + size_bytes <= self._size_bytes * share
        )

    @property
    def seqs(self) -> Sequence[int]:
        """Sequence numbers of the rows under way."""
        return list(self._flights)

    def clear(self) -> None:
        """Forget everything: a new connection begins with the oldest row."""
        self._flights.clear()
        self._used = {False: _Used(), True: _Used()}

    def keep_only(self, seqs: Iterable[int]) -> float | None:
        """Forget the rows that the outbox no longer holds.

        Returns the age in seconds of the youngest that went, among those sent once only (of the
        others nobody knows which copy arrived); None if there is none.
        """
        held = set(seqs)
        gone = [flight for seq, flight in self._flights.items() if seq not in held]
        for flight in gone:
            del self._flights[flight.row.seq]
            self._used[flight.is_backlog].add(-1, -len(flight.row.cose))
        sent_us = [flight.sent_us for flight in gone if flight.tries == 1]
        return (self._clock.mono() - max(sent_us)) / 1e6 if sent_us else None

    def sent(self, row: OutboxRow, *, is_backlog: bool = False) -> None:
        """A row was handed to the broker, for the first time or again."""
        former = self._flights.get(row.seq)
        if former is None:
            self._used[is_backlog].add(1, len(row.cose))
        else:
            is_backlog = former.is_backlog
        tries = former.tries + 1 if former else 1
        wait_s = self._min_s * 2.0 ** min(tries - 1, _MAX_DOUBLINGS)
        wait_s = min(self._max_s, wait_s * (1 + _JITTER * self._random()))
        now = self._clock.mono()
        self._flights[row.seq] = _Flight(row, tries, now, now + round(wait_s * 1e6), is_backlog)

    def due(self) -> Sequence[OutboxRow]:
        """Rows to send again now, oldest first."""
        now = self._clock.mono()
        due = [flight.row for flight in self._flights.values() if flight.due_us <= now]
        return sorted(due, key=lambda row: row.seq)

    def next_due_s(self) -> float | None:
        """Seconds until the first row is due again (0 if one is), None while nothing is out."""
        if not self._flights:
            return None
        due_us = min(f.due_us for f in self._flights.values())
        return max(0.0, (due_us - self._clock.mono()) / 1e6)
