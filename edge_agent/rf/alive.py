"""Alive but no data: a port that is open and gives bytes, of which nothing comes.

Users of every agent of this kind complain of it: the port is open, something blinks, and for days
nothing was read. Each sensor says so in health, with what to look at.
"""

from __future__ import annotations

from contract.clock import Clock
from edge_agent.config import MODEM_KINDS, SensorKind
from hardware.modems.poller import ModemPoller
from hardware.readings import FixReading, Item, Unreadable
from hardware.serial.port import PortCounters
from hardware.spectrum.poller import SpectrumPoller

NOTHING_READ_S = 60.0
"""So long without anything that reads is told; devices that are asked answer each second or two."""
_SILENT_AFTER = 3
_QUIET_KINDS = frozenset({SensorKind.CAPTURE, SensorKind.AUDIO, SensorKind.BOARD})
"""A capture is silent when the air is, a loudspeaker without a programme; a board tells itself."""


class Liveness:
    """Follows one sensor's items."""

    def __init__(self, kind: SensorKind, clock: Clock, *, limit_s: float | None) -> None:
        """``limit_s``: for how long a survey of the band may keep the device busy."""
        self._kind = kind
        self._clock = clock
        self._limit_s = max(NOTHING_READ_S, limit_s or 0.0)
        self._opens = 0
        self._since_us = self._understood_us = self._read_us = self._placed_us = clock.mono()
        self._damage = ""
        self._errors_before = 0
        self._answers_before = 0

    def note(self, item: Item) -> None:
        """Take what came; what is passed over was understood."""
        now_us = self._clock.mono()
        if isinstance(item, Unreadable):
            if item.is_damage:
                self._damage = item.reason
            else:
                self._understood_us = now_us
            return
        self._understood_us = self._read_us = now_us
        if isinstance(item, FixReading) and item.position is not None:
            self._placed_us = now_us

    def problem(
        self, port: PortCounters, modem: ModemPoller | None, spectrum: SpectrumPoller | None
    ) -> str | None:
        """What is wrong with a device whose port is open and gives bytes; None: nothing."""
        if port.opens != self._opens:  # it was away: the time counts from here
            self._opens = port.opens
            self._since_us = self._clock.mono()
        for poller in (modem, spectrum):
            if poller is not None and poller.counters.timeouts_in_a_row >= _SILENT_AFTER:
                count = poller.counters.timeouts_in_a_row
                return f"the port is open, but {count} questions in a row had no answer"
        if self._kind in _QUIET_KINDS:
            return None
        if modem is not None and self._kind in MODEM_KINDS:
            return self._modem_problem(modem)
        if self._is_old(self._understood_us):
            return f"bytes come, but nothing that reads as {self._kind.value}{self._last_damage()}"
        if self._kind in {SensorKind.NMEA, SensorKind.GPSD} and self._is_old(self._placed_us):
            return "the receiver speaks, but has no position"
        return None

    def _modem_problem(self, modem: ModemPoller) -> str | None:
        counters = modem.counters
        if not self._is_old(self._read_us):
            self._errors_before, self._answers_before = counters.errors, counters.answers
            return None
        errors = counters.errors - self._errors_before
        if errors and errors == counters.answers - self._answers_before:
            kind = self._kind.value
            return (
                f"it refuses all that a {kind} modem is asked: another make?{self._last_damage()}"
            )
        if self._damage:
            return f"it answers, but no cell can be read{self._last_damage()}"
        return "the modem answers, but hears no cell: antenna, SIM, or no network here"

    def _last_damage(self) -> str:
        return f"; last: {self._damage}" if self._damage else ""

    def _is_old(self, at_us: int) -> bool:
        since_us = max(at_us, self._since_us)
        return self._clock.mono() - since_us > self._limit_s * 1e6
