"""Drives a modem over a port: one command at a time, one round a period, for as long as it runs."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Protocol

import structlog

from hardware.modems.at import LineKind, LineSplitter, kind_of
from hardware.modems.interface import Arrival, LongCommand, ModemDialect
from hardware.readings import Item, Unreadable
from hardware.serial.port import PortData, PortEnded, PortEvent, PortLost, PortOpened
from hardware.serial.transport import PortError

_ABORT = b"\r"
"""Any byte ends a command that is under way (V.250 section 5.6.1)."""

log = structlog.get_logger(__name__)


class EventPort(Protocol):
    """What the poller needs of a port."""

    @property
    def name(self) -> str:
        """URL of the port."""

    async def next_event(self) -> PortEvent | None:
        """The next event, None when there are no more; safe to cancel."""

    async def write(self, data: bytes) -> None:
        """Write to the device, or raise PortError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PollerCounters:
    """What a poller has been through."""

    rounds: int = 0
    answers: int = 0
    """Final results of any kind."""
    errors: int = 0
    """Final results other than OK."""
    timeouts: int = 0
    timeouts_in_a_row: int = 0
    write_failures: int = 0
    items: int = 0
    surveys: int = 0
    """Surveys of a whole band that were begun."""
    surveys_cut: int = 0
    """Of them, those that were cancelled or took too long."""


class ModemPoller:
    """Asks a modem for a survey round every ``period_s`` and yields what it says.

    The next command goes out only after the final result of the one before, as a modem drops a
    command that another interrupts (V.250 section 5.6.1); a time-out ends the round. A modem that
    leaves ``silent_after`` commands in a row unanswered, although its port is open, is reported
    once as an Unreadable, and again only after it has answered in between.

    ``is_open`` says that somebody has taken the port's opening already, and identified the device.

    A survey of the whole band (:meth:`request_survey`) takes the place of a round and may last
    minutes; :meth:`cancel_survey` ends it by a byte, after which the rounds go on.
    """

    def __init__(
        self,
        port: EventPort,
        dialect: ModemDialect,
        *,
        period_s: float = 1.0,
        answer_timeout_s: float = 5.0,
        silent_after: int = 3,
        is_open: bool = False,
    ) -> None:
        self._port = port
        self._dialect = dialect
        self._period_s = period_s
        self._answer_timeout_s = answer_timeout_s
        self._silent_after = silent_after
        self._splitter = LineSplitter()
        self._commands: deque[bytes] = deque()
        self._is_waiting = False
        self._surveys: deque[LongCommand] = deque()
        self._survey: LongCommand | None = None
        self._due_s: float | None = 0.0 if is_open else None  # a time that is past: at once
        self._round_started_s = 0.0
        self._counters = PollerCounters()

    @property
    def counters(self) -> PollerCounters:
        """Counters as of now, for the health report."""
        return self._counters

    @property
    def is_surveying(self) -> bool:
        """A survey of the whole band is under way."""
        return self._survey is not None

    def request_survey(self) -> None:
        """Survey the whole band in place of the next round; a request under way is enough."""
        if not self._surveys and self._survey is None:
            self._surveys.extend(self._dialect.survey())

    async def cancel_survey(self) -> None:
        """End a survey early and forget the ones that wait; PortError while the port is lost."""
        self._surveys.clear()
        if self._survey is not None:
            self._count(surveys_cut=1)
            await self._port.write(_ABORT)

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
            self._count(items=len(items))
            for item in items:
                yield item
        for item in self._cut_stream():
            self._count(items=1)
            yield item

    async def _on_event(self, event: PortOpened | PortData | PortLost) -> list[Item]:
        if isinstance(event, PortData):
            return await self._on_data(event)
        self._end_round()
        self._due_s = asyncio.get_running_loop().time() if isinstance(event, PortOpened) else None
        return self._cut_stream()

    async def _on_data(self, event: PortData) -> list[Item]:
        items = self._cut_stream() if event.dropped_before else []
        arrival = Arrival(at_us=event.received_us, time_basis="live", received_us=event.received_us)
        items += self._dialect.feed(event.data, arrival)
        results = [kind_of(line.data) for line in self._splitter.feed(event.data)]
        results = [kind for kind in results if kind in {LineKind.OK, LineKind.ERROR}]
        if self._is_waiting and results:
            # what came together with it came before the next command: it answers nothing
            self._on_answer(is_ok=results[0] is LineKind.OK)
            await self._send_next()
        return items

    async def _on_due(self) -> list[Item]:
        """The answer is overdue, or the next round is due."""
        if self._is_waiting and self._survey is not None:
            await self._cut_survey()
            return []
        if self._is_waiting:
            return self._on_timeout()
        self._round_started_s = asyncio.get_running_loop().time()
        if self._surveys:
            await self._start_survey(self._surveys.popleft())
            return []
        self._count(rounds=1)
        self._commands = deque(self._dialect.poll())
        await self._send_next()
        return []

    async def _start_survey(self, survey: LongCommand) -> None:
        self._count(surveys=1)
        log.info("modem_survey", port=self._port.name, command=survey.command.decode().strip())
        self._commands = deque((survey.command,))
        await self._send_next()
        if self._is_waiting:
            self._survey = survey
            self._due_s = asyncio.get_running_loop().time() + survey.timeout_s

    async def _cut_survey(self) -> None:
        """It took too long: end it, and take what it answers to that as an ordinary answer."""
        log.warning("modem_survey_cut", port=self._port.name)
        self._count(surveys_cut=1)
        self._survey = None
        self._commands.clear()
        try:
            await self._port.write(_ABORT)
        except PortError:  # the reader tells of a loss
            self._end_round()
            return
        self._due_s = asyncio.get_running_loop().time() + self._answer_timeout_s

    async def _send_next(self) -> None:
        if not self._commands:
            self._end_round()
            return
        try:
            await self._port.write(self._commands.popleft())
        except PortError as error:  # the reader will tell of a loss; a mere jam may pass
            log.warning("modem_write_failed", port=self._port.name, problem=error.problem)
            self._count(write_failures=1)
            self._end_round()
            return
        self._is_waiting = True
        self._due_s = asyncio.get_running_loop().time() + self._answer_timeout_s

    def _end_round(self) -> None:
        self._commands.clear()
        self._is_waiting = False
        self._survey = None
        now_s = asyncio.get_running_loop().time()
        self._due_s = max(now_s, self._round_started_s + self._period_s)

    def _on_answer(self, *, is_ok: bool) -> None:
        if self._counters.timeouts_in_a_row >= self._silent_after:
            log.info("modem_answers_again", port=self._port.name)
        self._count(answers=1, errors=int(not is_ok))
        self._counters = replace(self._counters, timeouts_in_a_row=0)

    def _on_timeout(self) -> list[Item]:
        self._count(timeouts=1, timeouts_in_a_row=1)
        self._end_round()
        if self._counters.timeouts_in_a_row != self._silent_after:
            return []
        log.warning("modem_silent", port=self._port.name, commands=self._silent_after)
        return [
            Unreadable(
                file=PurePath(self._port.name).name,
                place=f"round {self._counters.rounds}",
                reason=f"the port is open, but {self._silent_after} commands in a row "
                f"had no answer within {self._answer_timeout_s:g} s each",
            )
        ]

    def _cut_stream(self) -> list[Item]:
        self._splitter.close()
        return self._dialect.close()

    def _count(self, **increments: int) -> None:
        now = self._counters
        self._counters = replace(now, **{k: getattr(now, k) + v for k, v in increments.items()})
