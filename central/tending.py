"""What the central does by the clock: calls for alerts that nobody acknowledges, retention.

One thread; each duty has its own period and fails on its own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from central.store.interface import StoreUnavailableError
from contract.clock import Clock

_log = structlog.get_logger(__name__)
_STEP_S = 1.0


@dataclass(frozen=True, slots=True)
class Duty:
    """Something to be done again and again; it returns how much it did."""

    name: str
    every_s: float
    do: Callable[[], int]


class Tending:
    """Runs duties until it is stopped."""

    def __init__(self, clock: Clock, *duties: Duty) -> None:
        self._clock = clock
        self._duties = duties
        self._due = dict.fromkeys((duty.name for duty in duties), int(clock.mono()))
        self._stopping = threading.Event()

    def run(self) -> None:
        """Work until :meth:`stop`."""
        while not self._stopping.wait(_STEP_S):
            self.step()

    def step(self) -> int:
        """Do what is due now and return how many duties were."""
        now = int(self._clock.mono())
        due = [duty for duty in self._duties if self._due[duty.name] <= now]
        for duty in due:
            self._due[duty.name] = now + round(duty.every_s * 1e6)
            try:
                done = duty.do()
            except StoreUnavailableError as error:
                _log.warning("duty_delayed", duty=duty.name, problem=error.problem)
            else:
                if done:
                    _log.info("duty_done", duty=duty.name, count=done)
        return len(due)

    def stop(self) -> None:
        """Ask :meth:`run` to end."""
        self._stopping.set()
