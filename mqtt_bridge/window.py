"""Which messages are on their way, and when to send one again. Pure: rows and a clock, no link."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from random import SystemRandom

from contract.clock import Clock, SystemClock
from mqtt_bridge.ports import OutboxRow

PROBE = 5
"""Rows sent again while nobody receipts anything. A central that is away for an hour must not find
its broker full of copies; a few rows are enough to learn that it is back."""

_PROBE_GROWTH = 4
"""When a probe was answered and it is silent again, so many times more go: they seem to be lost."""

_JITTER = 0.5
_MAX_DOUBLINGS = 16


@dataclass(slots=True)
class _Flight:
    row: OutboxRow
    tries: int
    first_us: int
    sent_us: int
    due_us: int
    passes: int = 0
    """Times that a row sent later was receipted and this one was not, each a full wait apart."""


@dataclass(frozen=True, slots=True)
class Landed:
    """What a receipt took out of the window."""

    rows: int
    delay_s: float | None
    """From sending to receipt of the row sent last, of those sent only once: how far the way is,
    queues at the broker and the central included. None where there is no such row."""


class Window:
    """Rows that were published and that no receipt covers yet: at most so many and so many bytes.

    A row is due again ``min_s`` after it was sent, then after twice that and so on up to ``max_s``,
    each time with up to half as much again of jitter (but never more than ``max_s``). It goes only
    if rows sent later were receipted. While receipts come, however late, what they have not reached
    yet is on its way: copies of it would make the queue longer. After ``min_s`` without any receipt
    the first :data:`PROBE` rows go again, then after twice that time, and so on.
    """

    def __init__(
        self,
        size: int,
        *,
        min_s: float,
        max_s: float,
        max_bytes: int | None = None,
        clock: Clock | None = None,
        random: Callable[[], float] | None = None,
    ) -> None:
        self.size = size
        self.max_bytes = max_bytes
        self.size_bytes = 0
        self._min_s = min_s
        self._max_s = max_s
        self._clock = clock or SystemClock()
        self._random = random or SystemRandom().random
        self._flights: dict[int, _Flight] = {}
        self._next_due_us: int | None = None
        self._receipted_us = -1
        self._forget_probes()

    def _forget_probes(self) -> None:
        self._quiet_since_us = self._probe_us = 0
        self._unanswered = self._probed = 0
        self._probe_rows = PROBE

    def __len__(self) -> int:
        return len(self._flights)

    def __contains__(self, seq: int) -> bool:
        return seq in self._flights

    @property
    def is_full(self) -> bool:
        """Whether no further row may be sent before a receipt comes."""
        return self.room(1.0) == 0

    def room(self, share: float) -> int:
        """Rows that may still be sent where only a share of the window may be used.

        The bytes of a row are known once it is read: the window may end up over its limit by one.
        """
        if self.max_bytes is not None and self.size_bytes >= share * self.max_bytes:
            return 0
        return max(0, int(share * self.size) - len(self._flights))

    @property
    def seqs(self) -> Collection[int]:
        """Sequence numbers on their way."""
        return self._flights.keys()

    def rows(self) -> Sequence[OutboxRow]:
        """Rows on their way."""
        return [flight.row for flight in self._flights.values()]

    def clear(self) -> None:
        """Forget everything: a new connection begins with the oldest row."""
        self._flights.clear()
        self.size_bytes = 0
        self._next_due_us = None
        self._receipted_us = -1
        self._forget_probes()

    def keep_only(self, seqs: Iterable[int]) -> Landed:
        """Forget the rows that the outbox no longer holds; returns what that says."""
        held = set(seqs)
        gone = [f for seq, f in self._flights.items() if seq not in held]
        for flight in gone:
            self._forget(flight)
        once = [f.sent_us for f in gone if f.tries == 1]
        if gone:
            self._receipted_us = max(self._receipted_us, *(f.first_us for f in gone))
            self._quiet_since_us = int(self._clock.mono())
            self._probe_rows = self._probed * _PROBE_GROWTH or self._probe_rows
            self._unanswered = self._probed = 0
        delay_s = (self._clock.mono() - max(once)) / 1e6 if once else None
        return Landed(len(gone), delay_s)

    def drop(self, seq: int) -> None:
        """Forget one row that will not be sent again."""
        if seq in self._flights:
            self._forget(self._flights[seq])

    def _forget(self, flight: _Flight) -> None:
        del self._flights[flight.row.seq]
        self.size_bytes -= len(flight.row.cose)

    def sent(self, row: OutboxRow) -> None:
        """A row was handed to the broker, for the first time or again."""
        former = self._flights.get(row.seq)
        now = int(self._clock.mono())
        tries = former.tries + 1 if former else 1
        due_us = now + self._wait_us(tries)
        if former is None:
            self.size_bytes += len(row.cose)
            self._flights[row.seq] = _Flight(row, tries, now, now, due_us)
        else:
            was_first = former.due_us == self._next_due_us
            former.tries, former.sent_us, former.due_us = tries, now, due_us
            if was_first:
                self._next_due_us = min(f.due_us for f in self._flights.values())
        if self._next_due_us is None or due_us < self._next_due_us:
            self._next_due_us = due_us

    def _wait_us(self, tries: int) -> int:
        wait_s = self._min_s * 2.0 ** min(tries - 1, _MAX_DOUBLINGS)
        return round(min(self._max_s, wait_s * (1 + _JITTER * self._random())) * 1e6)

    def due(self) -> Sequence[OutboxRow]:
        """Rows to send again now, in order of seq. What is not sent now is due again later.

        A row that others, sent later, have overtaken goes again. Where nothing at all is receipted,
        only a few go, to find out.
        """
        now = int(self._clock.mono())
        if self._next_due_us is None or now < self._next_due_us:
            return []
        due = sorted((f for f in self._flights.values() if f.due_us <= now), key=_seq_of)
        overtaken = [f for f in due if f.sent_us < self._receipted_us]
        for flight in overtaken:
            flight.passes += 1
        going = overtaken or self._probe(now)
        for flight in due:  # sent() sets the time of those that go
            flight.due_us = now + self._wait_us(flight.tries)
        self._next_due_us = min((f.due_us for f in self._flights.values()), default=None)
        return [flight.row for flight in going]

    def _probe(self, now: int) -> list[_Flight]:
        """Return the oldest rows if it is silent and time to ask again."""
        quiet_us = round(self._min_s * 1e6)
        if now < self._probe_us or now - self._quiet_since_us < quiet_us:
            return []
        if self._unanswered:
            self._probe_rows = PROBE
        self._unanswered += 1
        self._probe_us = now + self._wait_us(self._unanswered)
        waited = [f for f in self._flights.values() if now - f.sent_us >= quiet_us]
        going = sorted(waited, key=_seq_of)[: self._probe_rows]
        self._probed = len(going)
        return going

    def passes(self, seq: int) -> int:
        """How often a row was overtaken by others, each time a full wait after it was sent."""
        flight = self._flights.get(seq)
        return 0 if flight is None else flight.passes

    def next_due_s(self) -> float | None:
        """Seconds until the first row may be due again, None while nothing is out."""
        if not self._flights or self._next_due_us is None:
            return None
        return max(0.0, (self._next_due_us - self._clock.mono()) / 1e6)


def _seq_of(flight: _Flight) -> int:
    return flight.row.seq
