"""A host talking to a board in the real MicroPython."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TypeVar

from contract.clock import SystemClock
from hardware.board import messages as m
from hardware.board.client import BoardLink
from hardware.board.interface import CommandRefusedError, Received
from hardware.serial import Backoff, SerialPort

QUICK = Backoff(first_s=0.02, cap_s=0.1)
_M = TypeVar("_M", bound=m.Message)


@asynccontextmanager
async def talking(
    link: Path, *, key: bytes | None = None, queue_messages: int = 1024, limit_s: float = 12
) -> AsyncIterator[BoardLink]:
    """A session over a path that is already there or will be."""
    async with asyncio.timeout(limit_s):
        async with SerialPort(str(link), clock=SystemClock(), backoff=QUICK) as port:
            board = BoardLink(port, clock=SystemClock(), key=key, queue_messages=queue_messages)
            task = asyncio.create_task(board.run())
            try:
                yield board
            finally:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task


async def insist(link: BoardLink, command: m.Command) -> bytes:
    """Repeat while the tuner is being started."""
    while True:
        try:
            return await link.command(command)
        except CommandRefusedError as error:
            if error.status not in {m.Status.NO_DEVICE, m.Status.BUSY}:
                raise
            await asyncio.sleep(0.05)


async def next_of(
    link: BoardLink, kind: type[_M], where: Callable[[_M], bool] = lambda _: True
) -> tuple[_M, Received]:
    """The next message of a type."""
    while True:
        received = await link.next_message()
        assert received is not None
        if isinstance(received.message, kind) and where(received.message):
            return received.message, received


async def counters(link: BoardLink) -> m.GetCountersAnswer:
    """The board's counters now."""
    return m.GetCountersAnswer.unpack(await link.command(m.GetCounters()))
