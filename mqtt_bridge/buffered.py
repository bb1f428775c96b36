"""paho with fewer system calls: packets are read and written by the bufferful.

paho reads a packet in three pieces and writes each packet by itself. Under TLS every write is a
record of its own, which the broker has to read, check and decrypt by itself too: that cost more
than the packets. Here what is written waits for :meth:`BufferedSocket.flush`, and what is read
comes out of a buffer.
"""

from __future__ import annotations

import socket
import ssl
from typing import Any

from paho.mqtt import client as paho
from paho.mqtt.enums import LogLevel

READ_BYTES = 64 * 1024
WRITE_BYTES = 64 * 1024
"""So much may wait to be written; beyond that paho has to keep its packets."""
_RECORD_BYTES = 16 * 1024
"""What TLS puts into one record."""


class BufferedSocket:
    """A non-blocking socket with a buffer on either side. One thread at a time."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._read = b""
        self._at = 0
        self._unsent = bytearray()

    def recv(self, size: int) -> bytes:
        """Return what the buffer has of the bytes asked for; raises what the socket raises."""
        at = self._at
        if at >= len(self._read):
            self._read, at = self._sock.recv(READ_BYTES), 0
        taken = self._read[at : at + size]
        self._at = at + len(taken)
        return taken

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

    def pending(self) -> int:
        """Bytes that were read already, of which a selector knows nothing."""
        waiting = len(self._read) - self._at
        return waiting + (self._sock.pending() if isinstance(self._sock, ssl.SSLSocket) else 0)

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

    @property
    def pipe(self) -> BufferedSocket | None:
        """The socket, None while there is no connection."""
        sock: Any = self.socket()
        return sock if isinstance(sock, BufferedSocket) else None
