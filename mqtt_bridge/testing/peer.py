"""A peer that says fixed bytes to everyone who connects, and the server below all of these."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from mqtt_bridge.ports import BrokerAddress

_PATIENCE_S = 5.0
_LISTENS_S = 2.0


class Server:
    """Accepts on the loopback; each guest has a thread that ends with its connection."""

    def __init__(self, serve: Callable[[socket.socket], None], host: str = "127.0.0.1") -> None:
        self._serve = serve
        self._server = socket.create_server((host, 0))
        self._guests: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.connections = 0
        """How many have connected so far."""
        self._spawn(self._accept)

    @property
    def address(self) -> BrokerAddress:
        """Where it listens, in the clear."""
        host, port = self._server.getsockname()
        return BrokerAddress(host=host, port=port)

    def _spawn(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                guest, _ = self._server.accept()
                self.connections += 1
                self._guests.append(guest)
                self._spawn(self._entertain, guest)

    def _entertain(self, guest: socket.socket) -> None:
        with contextlib.suppress(OSError):
            self._serve(guest)

    def hang_up(self) -> None:
        """End every connection; who connects later is served."""
        for guest in self._guests:
            with contextlib.suppress(OSError):
                guest.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Stop listening and end every connection."""
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self.hang_up()
        for thread in self._threads:
            thread.join(_PATIENCE_S)
        for end in (self._server, *self._guests):
            end.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class RawPeer(Server):
    """Reads once, says ``lines`` whatever it read, then hangs up, or stays and keeps silent."""

    def __init__(self, lines: bytes, *, stays: bool = False) -> None:
        self.lines = lines
        self._stays = stays
        super().__init__(self._say)

    def _say(self, guest: socket.socket) -> None:
        guest.settimeout(_LISTENS_S)
        guest.recv(65536)
        guest.sendall(self.lines)
        if not self._stays:
            guest.shutdown(socket.SHUT_RDWR)
