"""The self-healing port: unplugged, absent, overrun, at its end, broken, stopped."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Iterable
from pathlib import Path
from time import monotonic

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.clock import SystemClock, VirtualClock
from hardware.serial.port import (
    Backoff,
    PortData,
    PortEnded,
    PortEvent,
    PortLost,
    PortOpened,
    SerialPort,
)
from hardware.serial.transport import LineSettings, PortError, Transport, replay_url
from hardware.simulators.modem import SimulatedModem
from hardware.simulators.modem_scripts import SceneScript

QUICK = Backoff(first_s=0.01, cap_s=0.05)


async def next_of(port: SerialPort) -> PortEvent | None:
    async with asyncio.timeout(30):
        return await port.next_event()


async def wait_for_data(port: SerialPort, wanted: bytes) -> bytes:
    """Collect bytes until they hold ``wanted``."""
    data = b""
    while wanted not in data:
        event = await next_of(port)
        assert isinstance(event, PortData)
        data += event.data
    return data


def test_an_unplugged_device_is_reopened_when_it_comes_back(tmp_path: Path) -> None:
    async def live(modem: SimulatedModem) -> None:
        url = str(modem.link)
        async with SerialPort(url, clock=SystemClock(), backoff=QUICK) as port:
            assert await next_of(port) == PortOpened(url)
            for _ in range(2):
                await port.write(b"AT\r")
                await wait_for_data(port, b"OK\r\n")
                await asyncio.to_thread(modem.unplug)
                lost = await next_of(port)
                assert isinstance(lost, PortLost)
                with pytest.raises(PortError, match="not open"):
                    await port.write(b"AT\r")
                await asyncio.to_thread(modem.plug_in)
                event = await next_of(port)
                if isinstance(event, PortLost):  # the absence itself, told once
                    assert "No such file" in event.problem
                    event = await next_of(port)
                assert event == PortOpened(url)
            await port.write(b"AT\r")
            await wait_for_data(port, b"OK\r\n")
            counters = port.counters()
        assert (counters.opens, counters.losses, counters.dropped_bytes) == (3, 2, 0)
        assert counters.is_open
        assert counters.last_data_age_s is not None
        assert counters.last_data_age_s < 5

    with SimulatedModem(SceneScript("genuine"), tmp_path / "modem0") as modem:
        asyncio.run(live(modem))


def test_an_absent_device_is_told_once_and_opened_when_it_comes(tmp_path: Path) -> None:
    link = tmp_path / "modem0"

    async def live() -> None:
        async with SerialPort(str(link), clock=SystemClock(), backoff=QUICK) as port:
            lost = await next_of(port)
            assert isinstance(lost, PortLost)
            assert "No such file" in lost.problem
            while port.counters().failed_opens < 5:
                await asyncio.sleep(0.01)
            with SimulatedModem(SceneScript("genuine"), link):
                assert await next_of(port) == PortOpened(str(link))
            assert port.counters().losses <= 1

    asyncio.run(live())


@pytest.mark.parametrize("queue_chunks", [1, 2, 256])
def test_a_recording_waits_for_a_slow_reader(tmp_path: Path, queue_chunks: int) -> None:
    path = tmp_path / "log"
    path.write_bytes(random.Random(1).randbytes(50_000))
    url = replay_url(path)

    async def replayed() -> list[PortEvent]:
        events = []
        port = SerialPort(url, clock=SystemClock(), queue_chunks=queue_chunks)
        async with port:
            async for event in port:
                events.append(event)
                await asyncio.sleep(0.001)
            assert port.counters().dropped_bytes == 0
        return events

    events = asyncio.run(replayed())
    assert events[0] == PortOpened(url)
    assert events[-1] == PortEnded(url)
    chunks = [e for e in events if isinstance(e, PortData)]
    assert b"".join(e.data for e in chunks) == path.read_bytes()
    assert not any(e.dropped_before for e in chunks)


class ScriptedTransport:
    """A live device that sends given chunks, calls back after the last, and then is silent."""

    name = "scripted"
    is_recording = False
    device = None

    def __init__(self, chunks: Iterable[bytes], done: threading.Event) -> None:
        self._chunks = iter(chunks)
        self._done = done
        self.is_closed = False

    def read(self, max_bytes: int, timeout_s: float) -> bytes:
        chunk = next(self._chunks, b"")
        if not chunk:
            self._done.set()
            threading.Event().wait(min(timeout_s, 0.01))
        return chunk

    def write(self, data: bytes) -> None:
        raise AssertionError("not written to here")

    def close(self) -> None:
        self.is_closed = True


def test_what_a_full_queue_drops_is_counted_and_marked() -> None:
    first, second = threading.Event(), threading.Event()
    sent = [b"%04d" % i for i in range(20)]

    def chunks() -> Iterable[bytes]:
        yield from sent[:10]
        yield b""  # a silence: the reader empties the queue meanwhile
        second.wait(30)
        yield from sent[10:]

    transport = ScriptedTransport(chunks(), first)

    def opener(url: str, settings: LineSettings | None) -> Transport:
        return transport

    async def live() -> list[PortData]:
        got: list[PortData] = []
        clock = VirtualClock()
        port = SerialPort("scripted", clock=clock, queue_chunks=4, opener=opener)
        async with port:
            await asyncio.to_thread(first.wait, 5)
            assert await next_of(port) == PortOpened("scripted")
            for _ in range(3):  # PortOpened had a place as well
                event = await next_of(port)
                assert isinstance(event, PortData)
                got.append(event)
            assert port.counters().dropped_bytes == 7 * 4
            second.set()
            while len(got) < 4:
                event = await next_of(port)
                assert isinstance(event, PortData)
                got.append(event)
            clock.advance(2_500_000)
            assert port.counters().last_data_age_s == 2.5
        return got

    got = asyncio.run(live())
    assert [e.data for e in got] == [*sent[:3], sent[10]]
    assert [e.dropped_before for e in got] == [0, 0, 0, 28]
    assert transport.is_closed


def test_a_broken_reader_is_heard_and_not_silently_dead() -> None:
    def opener(url: str, settings: LineSettings | None) -> Transport:
        raise ZeroDivisionError("a bug")

    async def live() -> None:
        async with SerialPort("any", clock=SystemClock(), opener=opener) as port:
            with pytest.raises(ZeroDivisionError, match="a bug"):
                await next_of(port)

    asyncio.run(live())


def test_stopping_is_prompt_in_a_long_wait_for_the_next_attempt(tmp_path: Path) -> None:
    async def live() -> None:
        slow = Backoff(first_s=3600, cap_s=3600)
        port = SerialPort(str(tmp_path / "none"), clock=SystemClock(), backoff=slow)
        port.start()
        assert isinstance(await next_of(port), PortLost)
        started = monotonic()
        await port.stop()
        await port.stop()
        assert monotonic() - started < 60  # the next attempt is an hour away
        assert await port.next_event() is None
        assert not [t for t in threading.enumerate() if t.name.startswith("port ")]

    asyncio.run(live())


def test_stopping_releases_a_reader_that_waits_for_room(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(bytes(100_000))

    async def live() -> None:
        port = SerialPort(replay_url(path), clock=SystemClock(), queue_chunks=1)
        port.start()
        await asyncio.sleep(0.05)
        async with asyncio.timeout(2):
            await port.stop()

    asyncio.run(live())


def test_a_port_is_used_between_start_and_stop_only() -> None:
    async def misuse() -> None:
        port = SerialPort("/dev/null", clock=SystemClock())
        with pytest.raises(RuntimeError, match="not been started"):
            await port.next_event()
        await port.stop()
        started = SerialPort("/dev/no-such-port", clock=SystemClock())
        async with started:
            with pytest.raises(RuntimeError, match="before"):
                started.start()

    asyncio.run(misuse())


@given(st.integers(0, 10_000), st.integers())
def test_a_wait_never_exceeds_its_cap(attempt: int, seed: int) -> None:
    delay_s = Backoff(first_s=0.2, cap_s=10.0).delay_s(attempt, random.Random(seed))
    assert 0.0 <= delay_s <= min(10.0, 0.2 * 2 ** min(attempt, 30))
