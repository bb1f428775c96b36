"""The store-and-forward queue towards the host: in order, repeated until answered (W5)."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from contract.clock import Clock
from edge_agent.atm.journal import Journal, QueuedAdvice
from edge_agent.atm.sealing import Seal, SealError
from hardware.atm.interface import HostLink, HostSilentError

SETTLING_CODES = frozenset({"00", "25", "94"})
"""Done, original not found, duplicate: each ends an advice; anything else is asked again."""

ALARM_TRIES = 6
TOO_LATE_CODES = frozenset({"12", "21", "40"})
"""Nothing to take back any more: ends the advice of a revocation, and of nothing else."""
_FIRST_WAIT_US = 5_000_000
_LONGEST_WAIT_US = 300_000_000

log = structlog.get_logger("atm")


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLimits:
    """Past either of them the machine takes no new withdrawal."""

    most_waiting: int = 10
    oldest_s: int = 900


class ReversalQueue:
    """Sends what the journal holds for the host; one thread at a time."""

    def __init__(
        self,
        journal: Journal,
        host: HostLink,
        clock: Clock,
        seal: Seal,
        limits: QueueLimits | None = None,
    ) -> None:
        self._journal = journal
        self._host = host
        self._clock = clock
        self._seal = seal
        self._limits = limits or QueueLimits()
        self.counters = {"settled": 0, "unanswered": 0, "alarms": 0}

    def allows(self, card: bytes) -> bool:
        """Whether a new withdrawal with this card may go to the host."""
        waiting = self._journal.waiting()
        if not waiting:
            return True
        age_us = self._clock.wall() - waiting[0].queued_us
        return (
            len(waiting) < self._limits.most_waiting
            and 0 <= age_us <= self._limits.oldest_s * 1_000_000
            and not self._journal.is_waiting_for(card)
        )

    def step(self, *, is_due_now: bool = False) -> bool:
        """Send the first advice if it is due; whether it was settled. Raises JournalError.

        The ones behind it wait: the host sees them in the order in which they came about.
        """
        waiting = self._journal.waiting()
        if not waiting:
            return False
        first = waiting[0]
        now = self._clock.wall()
        if first.due_us > now and not is_due_now:
            return False
        self._journal.count_try(first.number, now + _wait_us(first.tries), now)
        code = self._send(first)
        is_late = first.trace.original is not None and code in TOO_LATE_CODES
        if code in SETTLING_CODES or is_late:
            self._journal.settle(first.number, code, self._clock.wall())
            self.counters["settled"] += 1
            log.info("advice_settled", number=first.number, kind=first.kind.value, code=code)
            return True
        self.counters["unanswered"] += 1
        if first.tries + 1 == ALARM_TRIES:
            self.counters["alarms"] += 1
            log.error("advice_unanswered", number=first.number, tries=ALARM_TRIES, code=code)
        return False

    def _send(self, advice: QueuedAdvice) -> str:
        """Return the host's code, or an empty one without a usable answer."""
        try:
            pan = (
                ""
                if advice.sealed_pan is None
                else self._seal.open(advice.sealed_pan, advice.withdrawal)
            )
            return self._host.advise(advice.to_send(pan))
        except SealError as error:
            log.warning("advice_unreadable", number=advice.number, problem=str(error))
        except HostSilentError as error:
            log.warning("advice_silent", number=advice.number, problem=str(error))
        return ""


def _wait_us(tries: int) -> int:
    return int(min(_FIRST_WAIT_US * 2 ** min(tries, 10), _LONGEST_WAIT_US))
