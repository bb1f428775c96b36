"""A modem on the board's UART, asked round after round through the board."""

from __future__ import annotations

import asyncio

from hardware.board import messages as m
from hardware.board.client import BoardLink
from hardware.board.interface import BoardError
from hardware.board.passthrough import modem_bytes
from hardware.modems.interface import Arrival, ModemDialect
from hardware.readings import Item
from hardware.serial import PortError

_ENDS = 1
_ANSWER_S = 5
_PERIOD_S = 1.0
_AGAIN_S = 2.0


class BoardModem:
    """Run :meth:`run` as a task beside the board's; give it the board's modem lines."""

    def __init__(self, link: BoardLink, dialect: ModemDialect) -> None:
        self._link = link
        self._dialect = dialect
        self._has_answered = asyncio.Event()
        self.rounds = 0
        self.unanswered = 0
        self.problem: str | None = None
        """Why the modem is not asked, while it is not."""

    def take(self, line: m.ModemLine, at_us: int) -> list[Item]:
        """One line of the modem to what it says."""
        if line.flags & _ENDS:
            self._has_answered.set()
        arrival = Arrival(at_us=at_us, time_basis="live", received_us=at_us)
        return self._dialect.feed(modem_bytes(line), arrival)

    def reset(self) -> list[Item]:
        """The board started anew; return what was left."""
        return self._dialect.close()

    async def run(self) -> None:
        """One round a second, for ever."""
        while True:
            await self._link.greeted()
            try:
                for command in self._dialect.poll():
                    await self._ask(command)
            except (BoardError, PortError) as error:
                self.problem = str(error)
                await asyncio.sleep(_AGAIN_S)
                continue
            self.problem = None
            self.rounds += 1
            await asyncio.sleep(_PERIOD_S)

    async def _ask(self, command: bytes) -> None:
        self._has_answered.clear()
        text = command.rstrip(b"\r\n")
        await self._link.command(m.ModemCommand(timeout_s=_ANSWER_S, text=text))
        try:
            async with asyncio.timeout(_ANSWER_S + _AGAIN_S):
                await self._has_answered.wait()
        except TimeoutError:
            self.unanswered += 1
