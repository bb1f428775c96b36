"""Which messages are on their way, and when to send one again. Pure: rows and a clock, no link."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from random import Random

from contract.clock import Clock, SystemClock
from mqtt_bridge.ports import OutboxRow

PROBE = 5
"""Rows sent again while nobody receipts anything. A central that is away for an hour must not find
its broker full of copies; a few rows are enough to learn that it is back."""

_PROBE_GROWTH = 4
"""When a probe was answered and it is silent again, so many times more go: they seem to be lost."""

_REPLAY_PATIENCE = 3
"""So many times longer may replayed rows wait while live ones are receipted: their queue may be
long, and copies would make it longer."""

_LOOK_EVERY_US = 100_000
"""Looking through thousands of rows costs more than sending one a little late."""

_JITTER = 0.5
_MAX_DOUBLINGS = 16


@dataclass(slots=True)
class _Flight:
    row: OutboxRow
    tries: int
    first_us: int
    sent_us: int
    due_us: int
    is_replay: bool
    passes: int = 0
    """Times that a row sent later was receipted and this one was not, each a full wait apart."""


@dataclass(slots=True)
class _Quiet:
    """How long nothing of a kind was receipted, and what was asked about it."""

    since_us: int = 0
    ask_us: int = 0
    unanswered: int = 0
    probed: int = 0
    rows: int = PROBE

    def is_over(self, now: int) -> None:
        """Something was receipted."""
        self.since_us = now
        self.rows = self.probed * _PROBE_GROWTH or self.rows
        self.unanswered = self.probed = 0


@dataclass(frozen=True, slots=True)
class Landed:
    """What a receipt took out of the window."""

    rows: int
    replayed: int
    """Those of them that had waited."""
    delay_s: float | None
    """From sending to receipt of the replayed row sent last, of those sent only once: how far its
    way is, queues at the broker and the central included. None where there is no such row."""


class Window:
    """Rows that were published and that no receipt covers yet: at most so many and so many bytes.

    A row is due again ``min_s`` after it was sent, then after twice that and so on up to ``max_s``,
    each time with up to half as much again of jitter (but never more than ``max_s``). It goes only
    if rows of its kind (live or replayed, each has a queue of its own) that were sent later were
    receipted. While receipts come, however late, what they have not reached
    yet is on its way: copies of it would make the queue longer. After ``min_s`` without any receipt
    the first :data:`PROBE` rows go again, then after twice that time, and so on. What goes again
    goes as live: one copy in the short queue tells more than one at the end of the long one.
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
        self._random = random or Random().random  # noqa: S311 - spreads copies, hides nothing
        self._flights: dict[int, _Flight] = {}
        self._next_due_us: int | None = None
        self._receipted_us = [-1, -1]
        """When the youngest receipted row was sent first: live, replayed."""
        self.replayed = 0
        """Rows on their way that had waited."""
        self._forget_probes()

    def _forget_probes(self) -> None:
        self._quiet = [_Quiet(), _Quiet()]

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
        self._receipted_us = [-1, -1]
        self.replayed = 0
        self._forget_probes()

    def keep_only(self, seqs: Iterable[int]) -> Landed:
        """Forget the rows that the outbox no longer holds; returns what that says."""
        held = set(seqs)
        gone = [f for seq, f in self._flights.items() if seq not in held]
        for flight in gone:
            self._forget(flight)
        replayed = [f for f in gone if f.is_replay]
        once = [f.sent_us for f in replayed if f.tries == 1]
        if gone:
            for f in gone:
                former_us = self._receipted_us[f.is_replay]
                self._receipted_us[f.is_replay] = max(former_us, f.first_us)
            for is_replay in {f.is_replay for f in gone}:
                self._quiet[is_replay].is_over(int(self._clock.mono()))
        delay_s = (self._clock.mono() - max(once)) / 1e6 if once else None
        return Landed(len(gone), len(replayed), delay_s)

    def drop(self, seq: int) -> None:
        """Forget one row that will not be sent again."""
        if seq in self._flights:
            self._forget(self._flights[seq])

    def _forget(self, flight: _Flight) -> None:
        del self._flights[flight.row.seq]
        self.size_bytes -= len(flight.row.cose)
        self.replayed -= flight.is_replay

    def sent(self, row: OutboxRow, *, is_replay: bool = False) -> None:
        """A row was handed to the broker, for the first time or again."""
        former = self._flights.get(row.seq)
        now = int(self._clock.mono())
        tries = former.tries + 1 if former else 1
        due_us = now + self._wait_us(tries)
        if former is None:
            self.size_bytes += len(row.cose)
            self._flights[row.seq] = _Flight(row, tries, now, now, due_us, is_replay)
            self.replayed += is_replay
        else:
            was_first = former.due_us == self._next_due_us
            former.tries, former.sent_us, former.due_us = tries, now, due_us
            self.replayed -= former.is_replay
            former.is_replay = False
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
        overtaken = [f for f in due if f.sent_us < self._receipted_us[f.is_replay]]
        for flight in overtaken:
            flight.passes += 1
        going = overtaken or [*self._probe(now, False), *self._probe(now, True)]
        for flight in due:  # sent() sets the time of those that go
            flight.due_us = now + self._wait_us(flight.tries)
        first = min((f.due_us for f in self._flights.values()), default=None)
        self._next_due_us = None if first is None else max(first, now + _LOOK_EVERY_US)
        return [flight.row for flight in going]

    def _probe(self, now: int, is_replay: bool) -> list[_Flight]:
        """Return the oldest rows of a kind if it is silent and time to ask again."""
        quiet, other = self._quiet[is_replay], self._quiet[not is_replay]
        quiet_us = round(self._min_s * 1e6)
        if is_replay and now - other.since_us < quiet_us:
            quiet_us *= _REPLAY_PATIENCE
        if now < quiet.ask_us or now - quiet.since_us < quiet_us:
            return []
        waited = [
            f
            for f in self._flights.values()
            if f.is_replay == is_replay and now - f.sent_us >= quiet_us
        ]
        if not waited:
            return []
        if quiet.unanswered:
            quiet.rows = PROBE
        quiet.unanswered += 1
        quiet.ask_us = now + self._wait_us(quiet.unanswered)
        going = sorted(waited, key=_seq_of)[: quiet.rows]
        quiet.probed = len(going)
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
