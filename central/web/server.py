"""The HTTP server of the pages, in a thread of its own, with a stop that streams do not block."""

from __future__ import annotations

import socket
import ssl
import threading
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from central.hub import Hub
from central.web.security import check_bind

_GRACE_S = 3


class _Server(uvicorn.Server):
    """Ends the event streams first: a browser never closes one by itself."""

    def __init__(self, config: uvicorn.Config, hub: Hub) -> None:
        super().__init__(config)
        self._hub = hub

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._hub.close()
        await super().shutdown(sockets)


class WebServer:
    """Serves an application from :meth:`start` to :meth:`stop`."""

    def __init__(
        self, app: FastAPI, hub: Hub, host: str, port: int, tls: tuple[Path, Path] | None = None
    ) -> None:
        """Raise BindError for an address that is not loopback where there is no TLS."""
        self.host = check_bind(host, has_tls=tls is not None)
        self._tls = tls
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=_GRACE_S,
            server_header=False,
            ssl_certfile=None if tls is None else tls[0],
            ssl_keyfile=None if tls is None else tls[1],
        )
        self._config = config
        self._server = _Server(config, hub)
        self._wanted_port = port
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """Port in use; before the start the one asked for."""
        return self._wanted_port if self._socket is None else int(self._socket.getsockname()[1])

    @property
    def url(self) -> str:
        """Address of the first page."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        scheme = "http" if self._tls is None else "https"
        return f"{scheme}://{host}:{self.port}/"

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Listen, then serve in a thread; raises OSError if the port or the certificate is not."""
        if self._tls is not None:
            self._config.load()
            assert self._config.ssl is not None
            self._config.ssl.minimum_version = ssl.TLSVersion.TLSv1_2
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        listener = socket.create_server((self.host, self._wanted_port), family=family, backlog=128)
        self._socket = listener
        self._thread = threading.Thread(
            target=self._server.run, args=([listener],), name="central-web", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """End streams, finish requests, close the port."""
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(_GRACE_S + 2)
        if self._socket is not None:
            self._socket.close()
