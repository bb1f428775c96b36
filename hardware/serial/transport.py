"""Blocking byte transports behind one protocol and one error type.

A URL is a device path (``/dev/serial/by-id/...``, a pty), ``socket://HOST:PORT``,
``rfc2217://HOST:PORT``, or our own ``usb://VID:PID/SERIAL?interface=N`` and
``replay://PATH?bytes_per_s=N&loop=0``.
"""

from __future__ import annotations

import socket
import threading
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from time import monotonic
from typing import Protocol
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import serial

from hardware.serial.errors import PORT_ERRORS, PortError, in_words
from hardware.serial.ports import Lister, NoSuchPort, attached_ports, resolve
from hardware.serial.serialx_port import SerialxTransport

__all__ = [
    "Backend",
    "EndOfRecording",
    "LineSettings",
    "PortError",
    "Transport",
    "device_of",
    "open_transport",
    "replay_url",
]

_WRITE_TIMEOUT_S = 2.0
READ_TIMEOUT_S = 0.2
"""What ports are opened with: over RFC 2217 a change of it is negotiated with the far end anew,
and a far end that has gone is then waited for instead of being noticed."""


class EndOfRecording(Exception):  # noqa: N818 - an end, not an error
    """A replayed file has been read to its last byte."""

    def __init__(self, port: str) -> None:
        super().__init__(f"{port}: end of the recording")
        self.port = port


class Backend(StrEnum):
    """Package that moves the bytes."""

    PYSERIAL = "pyserial"
    SERIALX = "serialx"


@dataclass(frozen=True, slots=True, kw_only=True)
class LineSettings:
    """How a serial line is set up; a socket passes over what it has no wires for."""

    baudrate: int = 115200
    is_dtr_asserted: bool = True
    """False for boards that take DTR for a reset."""
    is_rts_asserted: bool = True
    backend: Backend = Backend.PYSERIAL


class Transport(Protocol):
    """A blocking link to a device. One thread reads and closes; any thread may write."""

    @property
    def name(self) -> str:
        """The URL it was opened with."""

    @property
    def is_recording(self) -> bool:
        """True: bytes wait for the reader. False: what is not read in time is lost."""

    @property
    def device(self) -> str | None:
        """Path of the device file; None for a link over the network and for a recording."""

    def read(self, max_bytes: int, timeout_s: float) -> bytes:
        """Wait for bytes and return those at hand, ``b""`` when the time is over.

        Raises PortError when the device is gone, EndOfRecording after a recording's last byte.
        """

    def write(self, data: bytes) -> None:
        """Write all of ``data``; PortError when the device is gone or takes nothing for 2 s."""

    def close(self) -> None:
        """Give the device back. Closing twice is nothing."""


def open_transport(
    url: str, settings: LineSettings | None = None, *, lister: Lister = attached_ports
) -> Transport:
    """Open a port for this process alone; PortError says what stood in the way.

    A ``usb://`` name is looked up anew at every call, for a device may come back under another
    number.
    """
    if urlsplit(url).scheme == "replay":
        return _open_replay(url)
    line = settings or LineSettings()
    device = device_of(url, lister)
    if line.backend is Backend.SERIALX:
        return SerialxTransport(url, device, line, write_timeout_s=_WRITE_TIMEOUT_S)
    return _SerialTransport(url, device, line)


def device_of(url: str, lister: Lister = attached_ports) -> str:
    """Return the device path behind a ``usb://`` name, and any other URL as it is."""
    if not url.startswith("usb://"):
        return url
    try:
        return resolve(url, lister())
    except NoSuchPort as problem:
        raise PortError(url, str(problem)) from problem


def replay_url(path: Path, *, bytes_per_s: int | None = None, is_looped: bool = False) -> str:
    """Return the URL under which a file is replayed, unpaced without ``bytes_per_s``."""
    options = [f"bytes_per_s={bytes_per_s}"] if bytes_per_s is not None else []
    options += ["loop=1"] if is_looped else []
    return "replay://" + quote(str(path)) + ("?" + "&".join(options) if options else "")


class _SerialTransport:
    """A device path, socket:// or rfc2217:// over pyserial."""

    is_recording = False

    def __init__(self, name: str, url: str, settings: LineSettings) -> None:
        self.name = name
        self.device = url if "://" not in url else None
        self._write_lock = threading.Lock()
        self._pending: PortError | None = None
        self._stream: socket.socket | None = None
        try:
            self._port = serial.serial_for_url(
                url,
                do_not_open=True,
                baudrate=settings.baudrate,
                timeout=READ_TIMEOUT_S,
                # pyserial's rfc2217 client refuses a write timeout
                write_timeout=None if url.startswith("rfc2217://") else _WRITE_TIMEOUT_S,
                exclusive=None if self.device is None else True,
            )
            # before open: pyserial sets both lines as soon as the device is open
            self._port.dtr = settings.is_dtr_asserted
            self._port.rts = settings.is_rts_asserted
        except (*PORT_ERRORS, ValueError) as error:  # an unknown scheme
            raise PortError(name, in_words(error)) from error
        try:
            self._port.open()
        except (*PORT_ERRORS, ValueError) as error:
            raise PortError(name, in_words(error)) from error
        if url.startswith("socket://"):
            self._stream = getattr(self._port, "_socket", None)

    def read(self, max_bytes: int, timeout_s: float) -> bytes:
        """Wait for the first byte, then take what else has come; see Transport."""
        if self._pending is not None:
            raise self._pending
        try:
            if self._port.timeout != timeout_s:  # each change is a tcsetattr
                self._port.timeout = timeout_s
            data: bytes = self._port.read(1)
        except PORT_ERRORS as error:
            raise PortError(self.name, in_words(error)) from error
        if not data:
            return b""
        return data + self._take_waiting(max_bytes - 1)

    def _take_waiting(self, room: int) -> bytes:
        """Read without waiting. A hang-up here is told by the next read: these bytes are good."""
        if self._stream is not None:
            return self._take_received(room)
        data = bytearray()
        try:
            while room > len(data) and (waiting := self._port.in_waiting):
                data += self._port.read(min(waiting, room - len(data)))
        except PORT_ERRORS as error:
            self._pending = PortError(self.name, in_words(error))
        return bytes(data)

    def _take_received(self, room: int) -> bytes:
        """All a socket has: pyserial 3.5 says 1 for whatever waits, too slow for audio."""
        assert self._stream is not None
        try:
            return self._stream.recv(room) if room > 0 else b""
        except BlockingIOError:
            return b""
        except OSError as error:
            self._pending = PortError(self.name, in_words(error))
            return b""

    def write(self, data: bytes) -> None:
        """Write everything; see Transport."""
        with self._write_lock:
            try:
                self._port.write(data)
            except PORT_ERRORS as error:
                raise PortError(self.name, in_words(error)) from error

    def close(self) -> None:
        """Close once no write is under way; a device that is gone closes too."""
        with self._write_lock:
            opened = getattr(self._port, "_socket", None)
            try:
                self._port.close()
            except PORT_ERRORS as error:
                raise PortError(self.name, in_words(error)) from error
            finally:
                if opened is not None:
                    # pyserial 3.5 forgets it unclosed when the peer has hung up first
                    opened.close()


def _open_replay(url: str) -> _ReplayTransport:
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    bytes_per_s, loop = options.pop("bytes_per_s", None), options.pop("loop", "0")
    if options:
        raise PortError(url, f"unknown option {next(iter(options))!r}")
    if bytes_per_s is not None and not (bytes_per_s.isdecimal() and int(bytes_per_s) > 0):
        raise PortError(url, f"bytes_per_s is {bytes_per_s!r}, a whole number above 0 is needed")
    if loop not in {"0", "1"}:
        raise PortError(url, f"loop is {loop!r}, 0 or 1 is needed")
    try:
        content = Path(unquote(parts.netloc + parts.path)).read_bytes()
    except OSError as error:
        raise PortError(url, in_words(error)) from error
    if loop == "1" and not content:
        raise PortError(url, "an empty file cannot be looped")
    rate = int(bytes_per_s) if bytes_per_s is not None else None
    return _ReplayTransport(url, content, rate, is_looped=loop == "1")


class _ReplayTransport:
    """A file's bytes as if a device sent them; what is written goes nowhere."""

    is_recording = True
    device = None

    def __init__(
        self, url: str, content: bytes, bytes_per_s: int | None, *, is_looped: bool
    ) -> None:
        self.name = url
        self._content = content
        self._bytes_per_s = bytes_per_s
        self._is_looped = is_looped
        self._started_s = monotonic()
        self._sent = 0
        self._closed = threading.Event()

    def read(self, max_bytes: int, timeout_s: float) -> bytes:
        """Return what the pace allows by now; see Transport."""
        if self._closed.is_set():
            raise PortError(self.name, "closed")
        if not self._is_looped and self._sent >= len(self._content):
            raise EndOfRecording(self.name)
        allowed = self._wait_for_pace(max_bytes, timeout_s)
        start = self._sent % len(self._content)
        data = self._content[start : start + allowed]
        self._sent += len(data)
        return data

    def _wait_for_pace(self, max_bytes: int, timeout_s: float) -> int:
        if self._bytes_per_s is None:
            return max_bytes
        wait_s = self._started_s + (self._sent + 1) / self._bytes_per_s - monotonic()
        self._closed.wait(min(max(wait_s, 0.0), timeout_s))
        due = int((monotonic() - self._started_s) * self._bytes_per_s) - self._sent
        return max(0, min(max_bytes, due))

    def write(self, data: bytes) -> None:
        """A recording answers nobody."""

    def close(self) -> None:
        """Stop; a waiting read returns."""
        self._closed.set()
