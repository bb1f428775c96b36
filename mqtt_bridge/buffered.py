"""A socket with fewer system calls, for paho and for what goes past it.

paho reads a packet in three pieces and writes each packet by itself. Under TLS every write is a
record of its own, which the broker has to read, check and decrypt by itself too: that cost more
than the packets. Here what is written waits for :meth:`BufferedSocket.flush`, and what is read
comes out of a buffer that shows whole packets.
"""

from __future__ import annotations

import socket
import ssl
import time
from dataclasses import dataclass
from typing import Any

from paho.mqtt import client as paho
from paho.mqtt.enums import LogLevel

from mqtt_bridge.packets import span_at

READ_BYTES = 64 * 1024
WRITE_BYTES = 64 * 1024
"""So much may wait to be written; beyond that paho has to keep its packets."""
_RECORD_BYTES = 16 * 1024
"""What TLS puts into one record."""


@dataclass(frozen=True, slots=True)
class Head:
    """Where a whole packet lies in the buffer."""

    first: int
    start: int
    end: int


class BufferedSocket:
    """A non-blocking socket with a buffer on either side. One thread at a time."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._read = b""
        self._at = 0
        self._unsent = bytearray()
        self._fault: OSError | None = None
        self._is_over = False

    def fill(self) -> bool:
        """Read what has come into the buffer; whether there was something.

        The end and errors are kept for :meth:`recv`, after what came before them.
        """
        pieces = [self._read[self._at :]]
        size = 0
        try:
            # A broker may send each packet in a record of its own, and each read returns only one.
            while size < READ_BYTES and not self.has_ended:
                pieces.append(self._sock.recv(READ_BYTES))
                size += len(pieces[-1])
                self._is_over = not pieces[-1]
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
            pass
        except OSError as error:
            self._fault = error
        self._read, self._at = b"".join(pieces), 0
        return size > 0

    def packet(self) -> Head | None:
        """The next packet, if it is there as a whole; raises MalformedPacketError."""
        span = span_at(self._read, self._at)
        return None if span is None else Head(self._read[self._at], *span)

    def take(self, head: Head) -> bytes:
        """Take that packet out and return its body."""
        self._at = head.end
        return self._read[head.start : head.end]

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will come; :meth:`recv` says why, once the buffer is empty."""
        return self._is_over or self._fault is not None

    def recv(self, size: int) -> bytes:
        """Return what the buffer has of the bytes asked for; raises what the socket raised."""
        if self._at >= len(self._read):
            self.fill()
            if self._at >= len(self._read) and not self._is_over:
                raise self._fault or BlockingIOError
        taken = self._read[self._at : self._at + size]
        self._at += len(taken)
        return taken

    def put(self, data: bytes) -> None:
        """Take bytes into the buffer, however much waits there: its user keeps count."""
        self._unsent += data

    def send(self, data: bytes | bytearray) -> int:
        """Take bytes into the buffer; raises BlockingIOError while it is full."""
        if len(self._unsent) >= WRITE_BYTES:
            self.flush()
            if len(self._unsent) >= WRITE_BYTES:
                raise BlockingIOError
        self._unsent += data
        return len(data)

    def flush(self) -> None:
        """Write as much as the socket takes; raises OSError for a broken one."""
        try:
            while self._unsent:
                sent = self._sock.send(self._unsent[:_RECORD_BYTES])
                del self._unsent[:sent]
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
            return

    @property
    def has_unsent(self) -> bool:
        """Whether something waits to be written."""
        return bool(self._unsent)

    @property
    def is_pending(self) -> bool:
        """Whether there is something to take of which a selector knows nothing."""
        if self.has_ended or (isinstance(self._sock, ssl.SSLSocket) and self._sock.pending()):
            return True
        return self._at < len(self._read) and self.packet() is not None

    def fileno(self) -> int:
        """The descriptor, for a selector."""
        return self._sock.fileno()

    def setblocking(self, is_blocking: bool) -> None:
        """As of a socket."""
        self._sock.setblocking(is_blocking)

    def send_at_once(self) -> None:
        """Without TCP_NODELAY small packets wait 40 ms for a delayed acknowledgement."""
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self) -> None:
        """Write what the socket takes at once, and close it."""
        try:
            self.flush()
        except OSError:  # it is broken already
            self._unsent.clear()
        self._sock.close()


class BufferedClient(paho.Client):
    """A paho client over a :class:`BufferedSocket`, which its owner flushes."""

    def _create_socket(self) -> Any:
        sock: Any = super()._create_socket()
        return BufferedSocket(sock)

    def _easy_log(self, level: LogLevel, fmt: str, *args: Any) -> None:
        if level != LogLevel.MQTT_LOG_DEBUG:  # a line for each packet, which nobody reads
            super()._easy_log(level, fmt, *args)

    def note_life(self) -> None:
        """Packets came that went past paho: the broker is there, whatever a ping would say."""
        self._last_bytes_received = time.monotonic()

    @property
    def pipe(self) -> BufferedSocket | None:
        """The socket, None while there is no connection."""
        sock: Any = self.socket()
        return sock if isinstance(sock, BufferedSocket) else None
