"""Unplugged fifty times, overrun, torn: nothing leaks, and no byte is lost uncounted."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import subprocess
import sys
import threading
import time
import tty
from pathlib import Path
from time import monotonic

import pytest

from contract.clock import SystemClock
from hardware.serial import other_readers
from hardware.serial import port as port_module
from hardware.serial.port import PortData, PortEvent, PortLost, PortOpened, SerialPort
from hardware.simulators.modem import SimulatedModem
from hardware.simulators.modem_scripts import SceneScript

REPLUGS = 50


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def threads() -> list[str]:
    return sorted(t.name for t in threading.enumerate() if t.name.startswith("port "))


async def data_after(port: SerialPort, *, ask: bytes) -> None:
    """Wait for the port to open and answer."""
    heard = b""
    while b"OK\r\n" not in heard:
        event = await port.next_event()
        if isinstance(event, PortOpened):
            await port.write(ask)
        elif isinstance(event, PortData):
            heard += event.data


def test_after_each_of_fifty_unpluggings_data_is_back_within_three_seconds(tmp_path: Path) -> None:
    """With the back-off that the product uses, and nothing leaking."""

    async def live(modem: SimulatedModem) -> tuple[list[float], list[int]]:
        waits_s, open_files = [], []
        async with SerialPort(str(modem.link), clock=SystemClock()) as port:
            async with asyncio.timeout(60):
                await data_after(port, ask=b"AT\r")
            for _ in range(REPLUGS):
                await asyncio.to_thread(modem.unplug)
                while not isinstance(await port.next_event(), PortLost):
                    pass
                await asyncio.to_thread(modem.plug_in)
                started = monotonic()
                async with asyncio.timeout(30):
                    await data_after(port, ask=b"AT\r")
                waits_s.append(monotonic() - started)
                open_files.append(descriptors())
                assert threads() == [f"port {modem.link}"]
            assert port.counters().losses == REPLUGS
        return waits_s, open_files

    gc.collect()  # what earlier tests left behind is not to be counted
    before = descriptors()
    with SimulatedModem(SceneScript("genuine"), tmp_path / "modem0") as modem:
        waits_s, open_files = asyncio.run(live(modem))
    print(f"{REPLUGS} replugs: back to data after {max(waits_s):.2f} s at most")
    # A port that looks for other readers of its device holds a file or two for a moment, at any
    # time: what leaks at each replug is there in all of the last five.
    assert min(open_files[-5:]) <= max(open_files[:5])
    assert max(open_files) <= min(open_files) + 3
    assert threads() == []
    assert descriptors() <= before


def test_a_long_absence_does_not_make_the_return_slower(tmp_path: Path) -> None:
    """At the cap of the back-off the next attempt is at most two seconds away."""
    backoff = port_module.Backoff()
    rng = random.Random(3)
    assert max(backoff.delay_s(attempt, rng) for attempt in range(500)) <= 2.0


RECORD_BYTES = 16


class Sender:
    """The far end of a pseudo-terminal: numbered records, as many as the kernel takes."""

    def __init__(self, seed: int) -> None:
        self.master, self.slave = os.openpty()
        tty.setraw(self.slave)
        os.set_blocking(self.master, False)
        self.path = os.ttyname(self.slave)
        self.sent_bytes = 0
        self._pending = b""
        self._number = 0
        self._rng = random.Random(seed)

    def burst(self) -> None:
        """Write up to 8 KiB, in odd portions; what the kernel does not take waits."""
        for _ in range(self._rng.randrange(40)):
            if len(self._pending) < RECORD_BYTES:
                self._number += 1
                self._pending += b"%015d\n" % self._number
            portion = self._pending[: self._rng.randint(1, 200)]
            try:
                count = os.write(self.master, portion)
            except BlockingIOError:
                return
            self._pending = self._pending[count:]
            self.sent_bytes += count

    def close(self) -> None:
        os.close(self.slave)
        os.close(self.master)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_sent_less_received_is_what_was_counted_as_dropped(seed: int) -> None:
    """A host too slow for its device: every byte is delivered or counted, and marked in place."""
    sender = Sender(seed)
    rng = random.Random(seed)

    async def live() -> tuple[int, int, int, list[int]]:
        delivered = 0
        line = b""
        numbers: list[int] = []
        silent_gaps = 0
        is_marked = False
        async with SerialPort(sender.path, clock=SystemClock(), queue_chunks=3) as port:

            def take(event: PortEvent | None) -> None:
                nonlocal delivered, line, silent_gaps, is_marked
                if not isinstance(event, PortData):
                    return
                delivered += len(event.data)
                if event.dropped_before:
                    line, is_marked = b"", True
                *records, line = (line + event.data).split(b"\n")
                for record in records:
                    if is_marked and len(record) != RECORD_BYTES - 1:
                        continue  # the rest of the record that was cut
                    if numbers and int(record) != numbers[-1] + 1 and not is_marked:
                        silent_gaps += 1
                    assert len(record) == RECORD_BYTES - 1, "half a record without a mark"
                    numbers.append(int(record))
                    is_marked = False

            # what waits in the kernel before anybody listens is flushed by the opening
            assert isinstance(await port.next_event(), PortOpened)
            for _ in range(400):
                sender.burst()
                await asyncio.sleep(rng.choice([0, 0, 0.001]))
                if rng.random() < 0.2:
                    take(await port.next_event())
            until = monotonic() + 10
            while port.counters().bytes_in < sender.sent_bytes and monotonic() < until:
                await asyncio.sleep(0.01)
            await port.stop()
            while (event := await port.next_event()) is not None:
                take(event)
            counters = port.counters()
        assert silent_gaps == 0
        return delivered, counters.bytes_in, counters.dropped_bytes, numbers

    try:
        delivered, bytes_in, dropped, numbers = asyncio.run(live())
    finally:
        sender.close()
    assert bytes_in == sender.sent_bytes
    assert dropped > 0, "the test must overrun the queue"
    assert sender.sent_bytes - delivered == dropped
    assert numbers == sorted(set(numbers))


def test_a_device_that_hangs_with_an_open_port_is_opened_anew() -> None:
    sender = Sender(1)

    async def live() -> None:
        async with SerialPort(sender.path, clock=SystemClock(), silence_limit_s=0.3) as port:
            async with asyncio.timeout(30):
                assert isinstance(await port.next_event(), PortOpened)
                lost = await port.next_event()
                assert isinstance(lost, PortLost)
                assert "silent for 0.3 s" in lost.problem
                assert isinstance(await port.next_event(), PortOpened)
                os.write(sender.master, b"alive")
                event = await port.next_event()
                assert isinstance(event, PortData)
            assert port.counters().silences == 1

    try:
        asyncio.run(live())
    finally:
        sender.close()


def test_another_program_at_the_port_is_named_in_health(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two programs at one device, the far end a third: the thief is named while it is there."""
    monkeypatch.setattr(port_module, "_LOOK_EVERY_US", 50_000)
    master, slave = os.openpty()
    path = os.ttyname(slave)
    script = f"f = open({path!r}, 'rb', buffering=0); print('open', flush=True); input()"

    async def live(thief: subprocess.Popen[bytes]) -> None:
        port = SerialPort(path, clock=SystemClock())

        def named() -> bool:
            return any(who.endswith(f"({thief.pid})") for who in port.counters().other_readers)

        async with port, asyncio.timeout(30):
            assert isinstance(await port.next_event(), PortOpened)
            while not named():
                await asyncio.sleep(0.01)
            await asyncio.to_thread(thief.communicate, b"\n")
            while named():
                await asyncio.sleep(0.01)

    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as thief:
        assert thief.stdout is not None
        assert thief.stdout.readline() == b"open\n"
        asyncio.run(live(thief))
    os.close(master)
    os.close(slave)


def test_the_far_end_of_a_simulated_device_is_no_second_reader(tmp_path: Path) -> None:
    """The simulator holds both ends of its device."""
    link = tmp_path / "modem"
    command = [sys.executable, "-m", "hardware.simulators.modem", "--link", str(link)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as simulator:
        try:
            until = time.monotonic() + 20
            while not link.exists() and time.monotonic() < until:
                time.sleep(0.02)
            assert not any(f"({simulator.pid})" in who for who in other_readers(str(link)))
        finally:
            simulator.terminate()


def test_a_device_that_goes_while_its_readers_are_looked_for_is_only_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link may vanish between two system calls; the reader lives on and finds it again."""

    def vanished(path: str) -> str:
        raise FileNotFoundError(2, "No such file or directory", path)

    async def live(modem: SimulatedModem) -> None:
        async with SerialPort(str(modem.link), clock=SystemClock()) as port:
            async with asyncio.timeout(30):
                await data_after(port, ask=b"AT\r")
                await asyncio.to_thread(modem.unplug)
                while not isinstance(await port.next_event(), PortLost):
                    pass
                await asyncio.to_thread(modem.plug_in)
                await data_after(port, ask=b"AT\r")

    monkeypatch.setattr(os.path, "realpath", vanished)
    with SimulatedModem(SceneScript("genuine"), tmp_path / "modem0") as modem:
        asyncio.run(live(modem))
