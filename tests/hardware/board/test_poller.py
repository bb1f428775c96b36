"""The board's poller over a port that plays a board: lost parts, strange answers, defects."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from contract.clock import SystemClock
from hardware.board import messages as m
from hardware.board import poller
from hardware.board.client import BoardLink
from hardware.board.frames import FrameReader, encode
from hardware.board.poller import BoardPoller
from hardware.board.readings import BoardReadings
from hardware.readings import Item, SweepReading
from hardware.serial import PortData, PortEvent, PortOpened

HELLO = m.Hello(
    protocol=1, boot_id=7, unique_id=bytes(8), board=bytes(12), version=bytes(12),
    image=bytes(8), python=bytes(12), reset_cause=1, slot=b"a", flags=0, tuner=1, modem=0,
    heap_free=90_000, proof=bytes(16),
)  # fmt: skip
PART = {"sweep_no": 1, "parts": 2, "step_khz": 100, "channels": bytes([60, 30, 1]) * 2}
FIRST, LAST = m.Sweep(part=0, start_khz=87_000, **PART), m.Sweep(part=1, start_khz=87_200, **PART)  # type: ignore[arg-type]


class PlayedBoard:
    """A port whose far end answers every command, and gives to each sweep what it was told to."""

    name = "board0"

    def __init__(self, *sweeps: tuple[m.Message, ...], status: int = 0) -> None:
        self._sweeps = list(sweeps)
        self._status = status
        self._reader = FrameReader()
        self._events: asyncio.Queue[PortEvent] = asyncio.Queue()
        self._seq = 0
        self.job = 0
        self._events.put_nowait(PortOpened(self.name))

    async def next_event(self) -> PortEvent | None:
        try:
            async with asyncio.timeout(0.02):
                return await self._events.get()
        except TimeoutError:
            return self._data(self._beat())

    async def write(self, data: bytes) -> None:
        for frame in self._reader.feed(data):
            said: list[m.Message] = [HELLO] if frame.type == m.HelloRequest.TYPE else []
            status = 0
            if frame.type == m.StartSweep.TYPE:
                status = self._status
                said += self._sweeps.pop(0) if self._sweeps and not status else ()
            answer = frame.payload[:8].ljust(24, b"\0") if frame.type == m.SyncTime.TYPE else b""
            reply = m.Reply(command_seq=frame.seq, command=frame.type, status=status, answer=answer)
            self._events.put_nowait(self._data(*said, reply))

    def _beat(self) -> m.Message:
        empty = m.Heartbeat.unpack(bytes(m.Heartbeat.LAYOUT.size))
        values = {name: getattr(empty, name) for name in m.Heartbeat.__slots__}
        return m.Heartbeat(**{**values, "boot_id": 7, "sent": self._seq, "job": self.job})

    def _data(self, *messages: m.Message) -> PortData:
        wire = b""
        for message in messages:
            wire += encode(message.TYPE, self._seq & 0xFFFF, message.pack())
            self._seq += 1
        clock = SystemClock()
        return PortData(
            port=self.name, data=wire, received_us=clock.wall(), received_mono_us=clock.mono()
        )


def played(board: PlayedBoard) -> BoardPoller:
    clock = SystemClock()
    link = BoardLink(board, clock=clock)
    return BoardPoller(
        link, BoardReadings(sensor="board0", file="board0"), clock=clock, listen_s=0.01
    )


async def until(source: BoardPoller, is_enough: Callable[[list[Item]], bool]) -> list[Item]:
    items: list[Item] = []
    async with asyncio.timeout(30):
        async for item in source.items():
            items.append(item)
            if is_enough(items):
                break
    return items


def test_a_sweep_that_lost_its_end_is_not_awaited_for_a_minute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(poller, "_LOOK_S", 0.02)

    async def live() -> tuple[list[Item], BoardPoller]:
        source = played(PlayedBoard((FIRST,), (FIRST, LAST)))
        return await until(source, lambda i: any(isinstance(x, SweepReading) for x in i)), source

    items, source = asyncio.run(live())
    assert [type(item).__name__ for item in items] == ["Unreadable", "SweepReading"]
    assert source.counters.sweeps_missing == 1


def test_a_status_of_a_later_board_is_told_and_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poller, "_AGAIN_S", 0.01)

    async def live() -> BoardPoller:
        board = PlayedBoard((FIRST, LAST), status=77)
        source = played(board)
        task = asyncio.create_task(until(source, bool))
        while source.refusal is None:
            await asyncio.sleep(0.01)
        assert source.refusal.endswith("StartSweep refused: status 77")
        board._status = 0
        assert isinstance((await task)[0], SweepReading)
        return source

    assert asyncio.run(live()).counters.sweeps_missing == 0


def test_a_defect_of_the_rounds_ends_the_readings_instead_of_stopping_the_sweeps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object, **__: object) -> list[int]:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr(poller, "stations", broken)

    async def live() -> None:
        await until(played(PlayedBoard((FIRST, LAST))), lambda items: len(items) > 1)

    with pytest.raises(ZeroDivisionError, match="a defect"):
        asyncio.run(live())
