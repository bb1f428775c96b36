"""Has a board sweep the band and listen to its stations by turns, and yields what it says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, replace

import structlog

from contract.clock import Clock
from hardware.board import messages as m
from hardware.board.client import BoardLink
from hardware.board.interface import BoardError, CommandRefusedError, Received
from hardware.board.modem import BoardModem
from hardware.board.readings import BoardReadings, stations
from hardware.readings import Item, SweepReading
from hardware.serial import PortError

FIRST_KHZ, LAST_KHZ, STEP_KHZ = 87_000, 108_000, 100
LISTEN_S = 3.0
"""On one station: a programme service name takes at least 0.35 s, in poor reception seconds."""
SWEEP_LIMIT_S = 60.0
"""211 channels at 60 ms each are 13 s."""
LEVEL_MIN_DBM = -90.0
STATIONS_MOST = 24
_AGAIN_S = 1.0
_SWEEPING = 3
_IDLE_BEATS = 3
"""So many heartbeats without the sweep under way, a second apart, and its rest is not awaited."""
_LOOK_S = 0.5

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardPollerCounters:
    """What a poller has been through."""

    sweeps: int = 0
    sweeps_missing: int = 0
    """Asked for, and not whole when the board was done, or within 60 s."""
    tunings: int = 0
    refused: int = 0
    """Commands the board refused: no tuner, safe mode, busy."""


class BoardPoller:
    """One board over its link. The port's owner closes the port."""

    def __init__(
        self,
        link: BoardLink,
        readings: BoardReadings,
        *,
        clock: Clock,
        listen_s: float = LISTEN_S,
        modem: BoardModem | None = None,
    ) -> None:
        """``modem``: what is on the board's UART, if anything is to be asked of it."""
        self._link = link
        self._readings = readings
        self._clock = clock
        self._listen_s = listen_s
        self._modem = modem
        self._sweep: SweepReading | None = None
        self._has_swept = asyncio.Event()
        self._boots = 0
        self._counters = BoardPollerCounters()
        self.refusal: str | None = None
        """Why the board does not do what it is asked, while it does not."""

    @property
    def counters(self) -> BoardPollerCounters:
        """Counters as of now."""
        return self._counters

    @property
    def modem(self) -> BoardModem | None:
        """The modem behind it, for its counters."""
        return self._modem

    @property
    def link(self) -> BoardLink:
        """The link, for its counters."""
        return self._link

    async def items(self) -> AsyncIterator[Item]:
        """Yield readings until the port ends; cancel it to stop. A defect of a part ends it too."""
        session = asyncio.create_task(self._link.run())
        workers = [asyncio.create_task(self._work())]
        if self._modem is not None:
            workers.append(asyncio.create_task(self._modem.run()))
        for worker in workers:  # they never end by themselves: one that did died of a defect
            worker.add_done_callback(lambda _: session.cancel())
        try:
            while (received := await self._link.next_message()) is not None:
                for item in self._note_boot() + self._said(received):
                    if isinstance(item, SweepReading):
                        self._sweep = item
                        self._has_swept.set()
                    yield item
            for worker in workers:
                if worker.done():
                    worker.result()
            await session
        finally:
            for task in (*workers, session):
                task.cancel()
            await asyncio.gather(*workers, session, return_exceptions=True)

    def _said(self, received: Received) -> list[Item]:
        now_us = self._clock.wall()
        if isinstance(received.message, m.ModemLine) and self._modem is not None:
            at_us = now_us if received.at_us is None else received.at_us
            return self._modem.take(received.message, at_us)
        return self._readings.take(received, now_us)

    def _note_boot(self) -> list[Item]:
        boots = self._link.counters().boots
        if boots == self._boots:
            return []
        self._boots = boots
        self._readings.reset()
        return [] if self._modem is None else self._modem.reset()

    async def _work(self) -> None:
        while True:
            await self._link.greeted()
            try:
                await self._round()
            except CommandRefusedError as error:
                self._add(refused=1)
                self.refusal = str(error)
                await asyncio.sleep(_AGAIN_S)
            except (BoardError, PortError) as error:
                self.refusal = str(error)
                await asyncio.sleep(_AGAIN_S)

    async def _round(self) -> None:
        """A sweep, then its stations one after the other."""
        self._has_swept.clear()
        await self._link.command(m.Stop())
        await self._link.command(
            m.StartSweep(start_khz=FIRST_KHZ, stop_khz=LAST_KHZ, step_khz=STEP_KHZ, repeats=1)
        )
        if not await self._wait_for_sweep():
            self._add(sweeps_missing=1)
            log.warning("board_sweep_missing", port=self._link.name)
            return
        self.refusal = None
        self._add(sweeps=1)
        assert self._sweep is not None
        for khz in stations(self._sweep, above_dbm=LEVEL_MIN_DBM, most=STATIONS_MOST):
            await self._link.command(m.Tune(frequency_khz=khz))
            self._add(tunings=1)
            await asyncio.sleep(self._listen_s)

    async def _wait_for_sweep(self) -> bool:
        """False once it cannot come whole any more: a part was lost, or the board started anew."""
        beat, idle_beats = self._link.heartbeat, 0
        try:
            async with asyncio.timeout(SWEEP_LIMIT_S):
                while not self._has_swept.is_set():
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._has_swept.wait(), _LOOK_S)
                    now = self._link.heartbeat
                    if now is None or now is beat:
                        continue
                    # heartbeats overtake telemetry in the board's queues: one alone says little
                    beat, idle_beats = now, 0 if now.job == _SWEEPING else idle_beats + 1
                    if idle_beats >= _IDLE_BEATS:
                        break
        except TimeoutError:
            pass
        return self._has_swept.is_set()

    def _add(self, **increments: int) -> None:
        now = self._counters
        self._counters = replace(now, **{k: getattr(now, k) + v for k, v in increments.items()})
