"""Transports: what every kind of port does alike, and how each one ends."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import socket
import sys
import threading
import time
import tty
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
import serial
import serial.rfc2217

from contract.clock import SystemClock
from hardware.serial import transport as transport_module
from hardware.serial.port import Backoff, PortData, PortOpened, SerialPort
from hardware.serial.transport import (
    Backend,
    EndOfRecording,
    LineSettings,
    PortError,
    Transport,
    open_transport,
    replay_url,
)


@dataclass
class Pty:
    """A pseudo-terminal whose master end plays the device."""

    master: int
    slave: int
    path: str

    def hang_up(self) -> None:
        os.close(self.slave)
        os.close(self.master)
        self.master = self.slave = -1


@pytest.fixture
def pty() -> Iterator[Pty]:
    master, slave = os.openpty()
    tty.setraw(slave)
    device = Pty(master, slave, os.ttyname(slave))
    yield device
    for fd in (device.master, device.slave):
        if fd >= 0:
            os.close(fd)


def read_all(port: Transport, count: int) -> bytes:
    """Read until ``count`` bytes have come, 5 s at most."""
    data, until = b"", monotonic() + 5
    while len(data) < count and monotonic() < until:
        data += port.read(4096, 0.1)
    return data


Opener = Callable[[str], Transport]


@pytest.fixture(params=list(Backend))
def opened(request: pytest.FixtureRequest) -> Opener:
    """Opens a port over either package: all of this section is the contract of both."""
    if request.param is Backend.SERIALX:
        pytest.importorskip("serialx")
    return lambda url: open_transport(url, LineSettings(backend=request.param))


def test_bytes_go_both_ways_over_a_pty(pty: Pty, opened: Opener) -> None:
    port = opened(pty.path)
    every_byte = bytes(range(256)) * 8
    os.write(pty.master, every_byte)
    assert read_all(port, len(every_byte)) == every_byte
    port.write(b"AT\r")
    assert os.read(pty.master, 10) == b"AT\r"
    assert port.name == pty.path
    assert not port.is_recording
    port.close()
    port.close()


def test_a_silent_device_gives_no_bytes_when_the_time_is_over(pty: Pty, opened: Opener) -> None:
    port = opened(pty.path)
    started = monotonic()
    assert port.read(10, 0.05) == b""
    assert monotonic() - started > 0.04
    port.close()


def test_a_read_takes_no_more_than_asked(pty: Pty, opened: Opener) -> None:
    port = opened(pty.path)
    os.write(pty.master, b"abcdef")
    assert len(port.read(4, 1.0)) <= 4
    assert len(port.read(1, 1.0)) == 1
    port.close()


def test_two_readers_cannot_share_a_port(pty: Pty, opened: Opener) -> None:
    first = opened(pty.path)
    with pytest.raises(PortError, match="another program has locked it"):
        opened(pty.path)
    first.close()
    opened(pty.path).close()


@pytest.mark.parametrize("is_asserted", [True, False])
def test_control_lines_are_set_where_there_are_some(pty: Pty, is_asserted: bool) -> None:
    settings = LineSettings(is_dtr_asserted=is_asserted, is_rts_asserted=is_asserted)
    opened: Any = open_transport(pty.path, settings)
    assert (opened._port.dtr, opened._port.rts) == (is_asserted, is_asserted)
    opened.close()


@pytest.mark.parametrize(
    "url",
    [
        "/dev/no-such-port",
        "no-such-scheme://x",
        "socket://127.0.0.1:1",
        "socket://127.0.0.1:notaport",
        "rfc2217://127.0.0.1:1",
    ],
)
def test_a_port_that_cannot_be_opened_names_itself(url: str, opened: Opener) -> None:
    with pytest.raises(PortError) as caught:
        opened(url)
    assert caught.value.port == url
    assert caught.value.problem


def test_a_problem_is_told_once_and_in_words(opened: Opener) -> None:
    with pytest.raises(PortError) as caught:
        opened("/dev/no-such-port")
    assert str(caught.value) == "/dev/no-such-port: No such file or directory"


def test_a_hang_up_is_one_kind_of_error_for_reading_and_writing(pty: Pty, opened: Opener) -> None:
    port = opened(pty.path)
    pty.hang_up()
    with pytest.raises(PortError):
        port.read(10, 1.0)
    with pytest.raises(PortError):
        port.write(b"AT\r")
    port.close()
    with pytest.raises(PortError):
        port.read(10, 0.1)


def test_a_device_that_takes_nothing_does_not_hold_the_writer(
    pty: Pty, monkeypatch: pytest.MonkeyPatch, opened: Opener
) -> None:
    monkeypatch.setattr(transport_module, "_WRITE_TIMEOUT_S", 0.1)
    port = opened(pty.path)
    with pytest.raises(PortError, match=r"(?i)timeout"):
        port.write(b"x" * 1_000_000)
    port.close()


def test_bytes_before_a_hang_up_are_still_delivered(opened: Opener) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = opened(f"socket://127.0.0.1:{server.getsockname()[1]}")
        peer, _ = server.accept()
        peer.sendall(b"last words")
        peer.shutdown(socket.SHUT_WR)
        assert port.read(4096, 1.0) == b"last words"  # the end waits right behind them
        with pytest.raises(PortError):
            port.read(10, 1.0)
        peer.close()
        port.close()


def test_all_that_waits_at_a_socket_comes_in_one_read() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = open_transport(f"socket://127.0.0.1:{server.getsockname()[1]}")
        peer, _ = server.accept()
        with peer:
            peer.sendall(bytes(4000))
            deadline = monotonic() + 2
            waiting = 0
            while waiting < 4000 and monotonic() < deadline:
                waiting = len(port._port._socket.recv(5000, socket.MSG_PEEK))  # type: ignore[attr-defined]
            assert len(port.read(3000, 1.0)) == 3000
            assert len(port.read(3000, 1.0)) == 1000
            assert port.read(3000, 0.0) == b""
        port.close()


def lend_over_rfc2217(
    server: socket.socket, port: serial.Serial, bytes_to_lend: float = math.inf
) -> None:
    """Lend a serial port to one client over RFC 2217, until the client goes or has its share."""
    connection, _ = server.accept()

    class Sender:
        def write(self, data: bytes) -> None:
            connection.sendall(data)

    with connection:
        connection.settimeout(0.02)
        manager = serial.rfc2217.PortManager(port, Sender())  # type: ignore[arg-type]
        while True:
            try:
                received = connection.recv(1024)
            except TimeoutError:
                data = port.read(port.in_waiting)
                connection.sendall(b"".join(manager.escape(data)))
                bytes_to_lend -= len(data)
                if bytes_to_lend <= 0:
                    time.sleep(0.1)  # what was sent is read before the hang-up is
                    return
                continue
            if not received:
                return
            port.write(b"".join(manager.filter(received)))


# pyserial 3.5 still names its own thread the old way
@pytest.mark.filterwarnings("ignore:set(Daemon|Name):DeprecationWarning")
def test_bytes_go_both_ways_over_rfc2217() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        looped = serial.serial_for_url("loop://", timeout=0)
        lender = threading.Thread(target=lend_over_rfc2217, args=(server, looped), daemon=True)
        lender.start()
        port = open_transport(f"rfc2217://127.0.0.1:{server.getsockname()[1]}")
        port.write(b"AT\r\xff\x00OK")
        assert read_all(port, 7) == b"AT\r\xff\x00OK"
        port.close()
        lender.join(30)
        assert not lender.is_alive()


# pyserial 3.5 still names its own thread the old way
@pytest.mark.filterwarnings("ignore:set(Daemon|Name):DeprecationWarning")
def test_a_port_server_that_goes_is_found_again() -> None:
    """Unplugged over RFC 2217: the server's connection ends, and another is taken by itself."""

    async def live(server: socket.socket) -> list[str]:
        port = SerialPort(
            f"rfc2217://127.0.0.1:{server.getsockname()[1]}",
            clock=SystemClock(),
            backoff=Backoff(first_s=0.05),
        )
        seen: list[str] = []
        async with port, asyncio.timeout(30):
            for _ in range(3):
                while not isinstance(event := await port.next_event(), PortOpened):
                    seen.append(type(event).__name__)
                await port.write(b"AT\r")
                while not isinstance(event := await port.next_event(), PortData):
                    seen.append(type(event).__name__)
                seen.append(event.data.decode())
        return seen

    with socket.create_server(("127.0.0.1", 0)) as server:
        ended = threading.Event()

        def lend() -> None:
            while not ended.is_set():
                looped = serial.serial_for_url("loop://", timeout=0)
                with contextlib.suppress(OSError):
                    lend_over_rfc2217(server, looped, bytes_to_lend=3)

        threading.Thread(target=lend, daemon=True).start()
        seen = asyncio.run(live(server))
        ended.set()
    assert seen.count("AT\r") == 3
    assert seen.count("PortLost") >= 2


@pytest.mark.parametrize("is_asserted", [True, False])
def test_serialx_is_told_the_control_lines(pty: Pty, is_asserted: bool) -> None:
    serialx = pytest.importorskip("serialx")
    settings = LineSettings(
        is_dtr_asserted=is_asserted, is_rts_asserted=is_asserted, backend=Backend.SERIALX
    )
    opened: Any = open_transport(pty.path, settings)
    wanted = serialx.PinState.HIGH if is_asserted else serialx.PinState.LOW
    assert (opened._port.dtr_on_open, opened._port.rts_on_open) == (wanted, wanted)
    opened.close()


def test_serialx_leaves_rfc2217_to_pyserial() -> None:
    with pytest.raises(PortError, match="pyserial only"):
        open_transport("rfc2217://127.0.0.1:1", LineSettings(backend=Backend.SERIALX))


def test_a_backend_that_is_not_installed_is_named(
    pty: Pty, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "serialx", None)
    with pytest.raises(PortError, match=r"comes with qianshao\[serialx\]"):
        open_transport(pty.path, LineSettings(backend=Backend.SERIALX))


# -- recordings -----------------------------------------------------------------------------------


def read_to_end(port: Transport, max_bytes: int = 100) -> bytes:
    data = b""
    while True:
        try:
            data += port.read(max_bytes, 1.0)
        except EndOfRecording:
            return data


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "odd name?#%.log"
    path.write_bytes(bytes(range(256)) * 4)
    return path


@pytest.mark.parametrize("max_bytes", [1, 7, 4096])
def test_a_recording_comes_whole_and_then_ends(recording: Path, max_bytes: int) -> None:
    port = open_transport(replay_url(recording))
    assert port.is_recording
    port.write(b"goes nowhere")
    assert read_to_end(port, max_bytes) == recording.read_bytes()
    with pytest.raises(EndOfRecording):
        port.read(1, 0.0)
    port.close()
    with pytest.raises(PortError, match="closed"):
        port.read(1, 0.0)


def test_a_paced_recording_keeps_its_pace(recording: Path) -> None:
    port = open_transport(replay_url(recording, bytes_per_s=8192))
    started = monotonic()
    assert read_to_end(port) == recording.read_bytes()
    assert monotonic() - started >= 0.12  # 1024 bytes at 8192 bytes/s are 0.125 s


def test_a_paced_read_keeps_its_time_out(recording: Path) -> None:
    port = open_transport(replay_url(recording, bytes_per_s=1))
    assert port.read(10, 0.02) == b""  # not the byte that is a second away


def test_a_looped_recording_begins_again(recording: Path) -> None:
    port = open_transport(replay_url(recording, is_looped=True))
    content = recording.read_bytes()
    assert read_all(port, 2500)[:2500] == (content * 3)[:2500]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ("bytes_per_s=0", "bytes_per_s"),
        ("bytes_per_s=fast", "bytes_per_s"),
        ("loop=2", "loop"),
        ("speed=2", "'speed'"),
    ],
)
def test_a_wrong_option_of_a_replay_is_named(recording: Path, options: str, problem: str) -> None:
    with pytest.raises(PortError, match=problem):
        open_transport(f"{replay_url(recording)}?{options}")


def test_a_replay_without_its_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(PortError, match="No such file"):
        open_transport(replay_url(tmp_path / "missing.log"))


def test_an_empty_recording_ends_at_once_and_is_not_looped(tmp_path: Path) -> None:
    empty = tmp_path / "empty.log"
    empty.touch()
    assert read_to_end(open_transport(replay_url(empty))) == b""
    with pytest.raises(PortError, match="empty"):
        open_transport(replay_url(empty, is_looped=True))
