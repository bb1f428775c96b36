"""Drives a spectrum device over a port: asks, waits, recovers, for as long as it runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import PurePath

import structlog

from hardware.modems.interface import Arrival
from hardware.modems.poller import EventPort
from hardware.readings import Item, Unreadable
from hardware.serial.port import PortData, PortEnded, PortEvent, PortLost, PortOpened
from hardware.serial.transport import PortError
from hardware.spectrum.interface import SpectrumDialect

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpectrumCounters:
    """What a poller has been through."""

    asked: int = 0
    answers: int = 0
    timeouts: int = 0
    timeouts_in_a_row: int = 0
    recoveries: int = 0
    write_failures: int = 0


class SpectrumPoller:
    """Asks for one sweep after the other and yields what the device says.

    A device that does not answer in time is brought back by its dialect's ``recover``; after
    ``silent_after`` times in a row it is reported once, and again only after it has answered.
    """

    def __init__(
        self,
        port: EventPort,
        dialect: SpectrumDialect,
        *,
        answer_timeout_s: float = 10.0,
        pause_s: float = 0.0,
        silent_after: int = 3,
    ) -> None:
        self._port = port
        self._dialect = dialect
        self._answer_timeout_s = answer_timeout_s
        self._pause_s = pause_s
        self._silent_after = silent_after
        self._due_s: float | None = None
        self._is_waiting = False
        self._counters = SpectrumCounters()

    @property
    def counters(self) -> SpectrumCounters:
        """Counters as of now."""
        return self._counters

    async def items(self) -> AsyncIterator[Item]:
        """Yield readings until the port ends or is stopped; a lost port only interrupts them."""
        while True:
            try:
                async with asyncio.timeout_at(self._due_s):
                    event = await self._port.next_event()
            except TimeoutError:
                items = await self._on_due()
            else:
                if event is None or isinstance(event, PortEnded):
                    break
                items = await self._on_event(event)
            for item in items:
                yield item
        for item in self._dialect.close():
            yield item

    async def _on_event(self, event: PortEvent) -> list[Item]:
        match event:
            case PortOpened():
                items = self._dialect.close()
                await self._write(self._dialect.wake())
                self._is_waiting = False
                self._due_s = self._now()
                return items
            case PortData():
                items = self._dialect.close() if event.dropped_before else []
                arrival = Arrival(
                    at_us=event.received_us, time_basis="live", received_us=event.received_us
                )
                items += self._dialect.feed(event.data, arrival)
                if self._is_waiting and any(self._dialect.is_answer(item) for item in items):
                    self._counters = replace(
                        self._counters, answers=self._counters.answers + 1, timeouts_in_a_row=0
                    )
                    self._is_waiting = False
                    self._due_s = self._now() + self._pause_s
                return items
            case PortLost():
                self._is_waiting, self._due_s = False, None
                return self._dialect.close()
            case PortEnded():
                return []

    async def _on_due(self) -> list[Item]:
        if self._is_waiting:
            return await self._on_timeout()
        asked = self._dialect.poll()
        if asked is not None:
            await self._write(asked)
        self._counters = replace(self._counters, asked=self._counters.asked + 1)
        self._is_waiting = True
        self._due_s = self._now() + self._answer_timeout_s
        return []

    async def _on_timeout(self) -> list[Item]:
        count = self._counters.timeouts_in_a_row + 1
        self._counters = replace(
            self._counters,
            timeouts=self._counters.timeouts + 1,
            timeouts_in_a_row=count,
            recoveries=self._counters.recoveries + 1,
        )
        items = self._dialect.close()
        await self._write(self._dialect.recover())
        self._is_waiting = False
        self._due_s = self._now() + 0.2
        if count != self._silent_after:
            return items
        log.warning("spectrum_device_silent", port=self._port.name, times=count)
        reason = (
            f"the port is open, but {count} times in a row no answer came within "
            f"{self._answer_timeout_s:g} s"
        )
        file = PurePath(self._port.name).name
        return [*items, Unreadable(file=file, place=f"sweep {self._counters.asked}", reason=reason)]

    async def _write(self, data: bytes) -> None:
        if not data:
            return
        try:
            await self._port.write(data)
        except PortError as error:  # the reader will tell of a loss; a mere jam may pass
            log.warning("spectrum_write_failed", port=self._port.name, problem=error.problem)
            self._counters = replace(
                self._counters, write_failures=self._counters.write_failures + 1
            )

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
