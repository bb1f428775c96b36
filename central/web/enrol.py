"""The HTTPS port of devices: they enrol and renew there, machines fetch their lists, and pass
sealed visits to each other under an order.

There is no login: an invitation's token or an enrolled evidence key opens enrolment, an enrolled
machine's certificate the rest. The authority's certificate may be read by anybody, because a token
names its hash.
"""

from __future__ import annotations

import socket
import ssl
import threading

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from central.enrolment import EnrolmentDesk
from central.store.interface import StoreUnavailableError
from central.web.link_files import LinkRoutes
from central.web.list_files import ListRoutes
from central.web.machine_port import PeerProtocol, problem
from contract.enrolment import MAX_REQUEST_BYTES, EnrolmentError
from mqtt_bridge.ports import TlsFiles

_GRACE_S = 3
_BUSY_AT = 64
"""Connections at once; more are told to come back."""


def create_enrolment_app(
    desk: EnrolmentDesk, lists: ListRoutes | None = None, links: LinkRoutes | None = None
) -> Starlette:
    """Return the application of the port; without ``lists`` and ``links`` enrolment alone."""

    async def authority(request: Request) -> Response:
        return Response(desk.authority_pem, media_type="application/x-pem-file")

    async def certificate(request: Request) -> Response:
        raw = b""
        async for piece in request.stream():
            raw += piece
            if len(raw) > MAX_REQUEST_BYTES:
                return problem(413, "the request is too long")
        try:
            answer = await run_in_threadpool(desk.answer, raw)
        except EnrolmentError as error:
            return problem(403, str(error))
        except StoreUnavailableError as error:
            return problem(503, error.problem)
        return Response(answer.to_json(), media_type="application/json")

    return Starlette(
        routes=[
            Route("/authority.pem", authority, methods=["GET"]),
            Route("/certificate", certificate, methods=["POST"]),
            *([] if lists is None else lists.routes()),
            *([] if links is None else links.routes()),
        ]
    )


class EnrolmentServer:
    """Serves the desk over TLS from :meth:`start` to :meth:`stop`."""

    def __init__(
        self,
        desk: EnrolmentDesk,
        tls: TlsFiles,
        host: str,
        port: int,
        lists: ListRoutes | None = None,
        links: LinkRoutes | None = None,
    ) -> None:
        self._config = uvicorn.Config(
            create_enrolment_app(desk, lists, links),
            http=PeerProtocol,
            log_config=None,
            access_log=False,
            lifespan="off",
            limit_concurrency=_BUSY_AT,
            timeout_graceful_shutdown=_GRACE_S,
            server_header=False,
            ssl_certfile=str(tls.certificate),
            ssl_keyfile=str(tls.private_key),
            ssl_ca_certs=str(tls.ca),
            ssl_cert_reqs=ssl.CERT_OPTIONAL,  # who enrols has none yet
        )
        self._tls = tls
        self._server = uvicorn.Server(self._config)
        self._host = host
        self._wanted_port = port
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """Port in use; before the start the one asked for."""
        return self._wanted_port if self._socket is None else int(self._socket.getsockname()[1])

    def start(self) -> None:
        """Listen, then serve in a thread; raises OSError if the port is taken."""
        self._config.load()
        assert self._config.ssl is not None
        self._config.ssl.minimum_version = ssl.TLSVersion.TLSv1_2
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        self._socket = socket.create_server((self._host, self._wanted_port), family=family)
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), name="central-enrol", daemon=True
        )
        self._thread.start()

    def renew(self) -> None:
        """Show the certificate that lies in the files now to whoever connects from here on."""
        if self._config.ssl is not None:
            self._config.ssl.load_cert_chain(self._tls.certificate, self._tls.private_key)

    def stop(self) -> None:
        """Finish requests, close the port."""
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(_GRACE_S + 2)
        if self._socket is not None:
            self._socket.close()
